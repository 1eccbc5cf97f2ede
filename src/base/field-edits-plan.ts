/** Changes of a head's fields as plain data: what a plan carries, and what http/ carries out. */

/** Literal texts and numbers of variables (http/template.ts), in order. Survives JSON. */
export type TemplatePlan = readonly (string | number)[];

export interface FieldEditsPlan {
  /** Names in lower case; every field so named goes. */
  readonly remove: readonly string[];
  /** Every field so named goes, and one with this value is written. */
  readonly set: readonly FieldPlan[];
  /** Written beside what is there. */
  readonly add: readonly FieldPlan[];
}

export interface FieldPlan {
  /** As it is to be written. */
  readonly name: string;
  readonly value: TemplatePlan;
}
