/**
 * The TLS policies of AWS's load balancers (ELBSecurityPolicy-*) and of CloudFront, by the names that the pinned s2n knows: what each allows.
 * Data, and nothing else. s2n has no reader for it; test/policies.test.ts asks the library for every element of every name, and looks for
 * names in its file that are not here. Elements that a name lists and the library can never use (finite-field groups without parameters,
 * PKCS #1 signatures in TLS 1.3) are left out.
 */
import { codes, makePolicy, type Policy } from './policy.ts';

/** Cipher suites, best first. */
const SUITES_1 = codes('c02b c02f c023 c027 c009 c013 c02c c030 c024 c028 c014 c00a 009c 003c 002f 009d 003d 0035 000a');
const SUITES_2 = codes('c02b c02f c023 c027 c009 c013 c02c c030 c024 c028 c014 c00a 009c 003c 002f 009d 003d 0035');
const SUITES_3 = codes('c02b c02f c023 c027 c02c c030 c024 c028 009c 003c 009d 003d');
const SUITES_4 = codes('c02b c02f c023 c027 c009 c013 c02c c030 c024 c028 c014 c00a');
const SUITES_5 = codes('c02b c02f c023 c027 c02c c030 c024 c028');
const SUITES_6 = codes('1302');
const SUITES_7 = codes('1302 c02c c030');
const SUITES_8 = codes('1302 1301 c02c c030 c024 c028 c00a c014 c02b c02f c023 c027 c009 c013 009d 003d 0035 009c 003c 002f');
const SUITES_9 = codes('c02c c030 c02b c02f c024 c028 c00a c014 c023 c027 c009 c013 009d 009c 0035 003c 002f 000a 0004');
const SUITES_10 = codes('1301 1302 1303 c02b c02f c02c c030 c023 c027 c024 c028 c009 c013 c00a c014 009c 009d 003c 002f 0035 000a 0004');
const SUITES_11 = codes('1301 1302 1303');
const SUITES_12 = codes('1301 1302 1303 c02f c027 c013 c030 cca8 c028 c014 009c 009d 003c 0035 002f 000a 0004');
const SUITES_13 = codes(
  '1301 1302 1303 c02b c02f c023 c027 c009 c013 c02c c030 cca9 cca8 c024 c028 c00a c014 009c 009d 003c 0035 002f ' + '000a',
);
const SUITES_14 = codes(
  '1301 1302 1303 c02b c02f c023 c027 c009 c013 c02c c030 cca9 cca8 c024 c028 c00a c014 009c 009d 003c 002f 003d ' + '0035 000a',
);
const SUITES_15 = codes('1301 1302 1303 c02b c02f c023 c027 c009 c013 c02c c030 cca9 cca8 c024 c028 c00a c014 009c 009d 003c 0035 002f');
const SUITES_16 = codes('1301 1302 1303 c02b c02f c023 c027 c02c c030 cca9 cca8 c024 c028 c00a c014 c009 c013 009c 009d 003c');
const SUITES_17 = codes('1301 1302 1303 c02b c02f c023 c027 c02c c030 cca9 cca8 c024 c028 009c 009d 003c');
const SUITES_18 = codes('1301 1302 1303 c02b c02f c02c c030 cca9 cca8 c024 c028 c023 c027');
const SUITES_19 = codes('1301 1302 1303 c02b c02f c02c c030 cca9 cca8');
const SUITES_20 = codes('1301 1302 c02b c02f c02c c030');
const SUITES_21 = codes('1301 1302 1303 c02f c027 c030 cca8 c028 009c 009d 003c');
const SUITES_22 = codes('c02b c02f c023 c027 c009 c013 c02c c030 c024 c028 c00a c014 009c 009d 003c 0035 002f 000a 0004');
const SUITES_23 = codes('c02b c02f c023 c027 c009 c013 c02c c030 c024 c028 c00a c014 009c 009d 003c 0035 002f 000a');
const SUITES_24 = codes('c02b c02f c023 c027 c009 c013 c02c c030 c024 c028 c00a c014 009c 009d 003c 0035 002f');
const SUITES_25 = codes('c02b c02f c023 c027 c02c c030 c024 c028 009c 009d 003c');
const SUITES_26 = codes('c02b c02f c02c c030 c024 c028 c023 c027');

/** Groups: those with ML-KEM first, since s2n always prefers them. */
const GROUPS_1 = codes('0017 0018');
const GROUPS_2 = codes('0202 0018');
const GROUPS_3 = codes('0202 0018 0017 0019');
const GROUPS_4 = codes('0017 001d 0018');
const GROUPS_5 = codes('11ec 11eb 11ed 0017 001d 0018');
const GROUPS_6 = codes('11ec 11eb 001d 0017 0018');
const GROUPS_7 = codes('11ec 11eb 0017 0018');
const GROUPS_8 = codes('001d 0017 0018');
const GROUPS_9 = codes('11ec 11eb 11ed 001d 0017 0018');

/** Signature schemes, best first. */
const SCHEMES_1 = codes('0401 0501 0601 0301 0403 0503 0603 0303 0201 0203');
const SCHEMES_2 = codes('0906 0503 080a 0805');
const SCHEMES_3 = codes('0906 0503 080a 0805 0501');
const SCHEMES_4 = codes('0906 0503 080a 0805 0501 0403 0809 0804 0401 0603 080b 0806 0601');
const SCHEMES_5 = codes('0403 0503 0603 0303 0809 080a 080b 0804 0805 0806 0401 0501 0601 0301 0201 0203');
const SCHEMES_6 = codes('0403 0503 0603 0809 080a 080b 0804 0805 0806');
const SCHEMES_7 = codes('0904 0905 0906 0403 0503 0603 0303 0809 080a 080b 0804 0805 0806 0401 0501 0601 0301 0201 0203');
const SCHEMES_8 = codes('0904 0905 0906 0403 0503 0603 0809 080a 080b 0804 0805 0806');
const SCHEMES_9 = codes('0809 080a 080b 0804 0805 0806 0401 0501 0601 0301 0403 0503 0603 0201');
const SCHEMES_10 = codes('0809 080a 080b 0804 0805 0806 0401 0501 0601 0301 0403 0503 0603 0303 0201 0203');
const SCHEMES_11 = codes('0809 080a 080b 0804 0805 0806 0401 0501 0601 0301 0403 0503 0603 0303');
const SCHEMES_12 = codes('0809 080a 080b 0804 0805 0806 0401 0501 0601 0403 0503 0603');
const SCHEMES_13 = codes('0809 080a 080b 0804 0805 0806 0403 0503 0603');

const P384: readonly number[] = Object.freeze([0x0018]);

type Extra = Pick<Partial<Policy>, 'chachaFirst' | 'insistsOn'>;

/** Every version from `oldest` up to TLS 1.3, or to TLS 1.2 when there is no suite of TLS 1.3. */
function policy(
  name: string,
  oldest: number,
  suites: readonly number[],
  groups: readonly number[],
  signatureSchemes: readonly number[],
  extra: Extra = {},
): Policy {
  const newest = suites.some((suite) => suite >>> 8 === 0x13) ? 0x0304 : 0x0303;
  const versions = Array.from({ length: newest - oldest + 1 }, (_, i) => newest - i);
  const about = name.startsWith('ELB') ? "as AWS's load balancers have it" : 'as CloudFront has it';
  return makePolicy({ name, about, versions, suites, groups, signatureSchemes, s2n: name, ...extra });
}

export const AWS_POLICIES: readonly Policy[] = Object.freeze([
  policy('ELBSecurityPolicy-TLS-1-0-2015-04', 0x0301, SUITES_1, GROUPS_1, SCHEMES_1),
  policy('ELBSecurityPolicy-TLS-1-0-2015-05', 0x0301, SUITES_2, GROUPS_1, SCHEMES_1),
  policy('ELBSecurityPolicy-2016-08', 0x0301, SUITES_2, GROUPS_1, SCHEMES_1),
  policy('ELBSecurityPolicy-TLS-1-1-2017-01', 0x0302, SUITES_2, GROUPS_1, SCHEMES_1),
  policy('ELBSecurityPolicy-TLS-1-2-2017-01', 0x0303, SUITES_3, GROUPS_1, SCHEMES_1),
  policy('ELBSecurityPolicy-TLS-1-2-Ext-2018-06', 0x0303, SUITES_2, GROUPS_1, SCHEMES_1),
  policy('ELBSecurityPolicy-FS-2018-06', 0x0301, SUITES_4, GROUPS_1, SCHEMES_1),
  policy('ELBSecurityPolicy-FS-1-2-2019-08', 0x0303, SUITES_4, GROUPS_1, SCHEMES_1),
  policy('ELBSecurityPolicy-FS-1-1-2019-08', 0x0302, SUITES_4, GROUPS_1, SCHEMES_1),
  policy('ELBSecurityPolicy-FS-1-2-Res-2019-08', 0x0303, SUITES_5, GROUPS_1, SCHEMES_1),
  policy('ELBSecurityPolicy-TLS13-1-3-CNSA2-INTEROP1-FIPS-PQ-2026-07', 0x0304, SUITES_6, GROUPS_2, SCHEMES_2),
  policy('ELBSecurityPolicy-TLS13-1-2-CNSA2-INTEROP2-FIPS-PQ-2026-07', 0x0303, SUITES_7, GROUPS_2, SCHEMES_3),
  policy('ELBSecurityPolicy-TLS13-1-2-CNSA2-INTEROP3-FIPS-PQ-2026-07', 0x0303, SUITES_8, GROUPS_3, SCHEMES_4, { insistsOn: P384 }),
  policy('CloudFront-Upstream', 0x0300, SUITES_9, GROUPS_4, SCHEMES_1),
  policy('CloudFront-Upstream-TLS-1-0', 0x0301, SUITES_9, GROUPS_4, SCHEMES_1),
  policy('CloudFront-Upstream-TLS-1-1', 0x0302, SUITES_9, GROUPS_4, SCHEMES_1),
  policy('CloudFront-Upstream-TLS-1-2', 0x0303, SUITES_9, GROUPS_4, SCHEMES_1),
  policy('CloudFront-Upstream-2025', 0x0300, SUITES_10, GROUPS_4, SCHEMES_5),
  policy('CloudFront-Upstream-TLS-1-0-2025', 0x0301, SUITES_10, GROUPS_4, SCHEMES_5),
  policy('CloudFront-Upstream-TLS-1-1-2025', 0x0302, SUITES_10, GROUPS_4, SCHEMES_5),
  policy('CloudFront-Upstream-TLS-1-2-2025', 0x0303, SUITES_10, GROUPS_4, SCHEMES_5),
  policy('CloudFront-Upstream-TLS-1-3-2025', 0x0304, SUITES_11, GROUPS_4, SCHEMES_6),
  policy('CloudFront-Upstream-2025-PQ', 0x0300, SUITES_10, GROUPS_5, SCHEMES_7),
  policy('CloudFront-Upstream-TLS-1-0-2025-PQ', 0x0301, SUITES_10, GROUPS_5, SCHEMES_7),
  policy('CloudFront-Upstream-TLS-1-1-2025-PQ', 0x0302, SUITES_10, GROUPS_5, SCHEMES_7),
  policy('CloudFront-Upstream-TLS-1-2-2025-PQ', 0x0303, SUITES_10, GROUPS_5, SCHEMES_7),
  policy('CloudFront-Upstream-TLS-1-3-2025-PQ', 0x0304, SUITES_11, GROUPS_5, SCHEMES_8),
  policy('CloudFront-SSL-v-3', 0x0300, SUITES_12, GROUPS_6, SCHEMES_9),
  policy('CloudFront-TLS-1-0-2014', 0x0301, SUITES_13, GROUPS_6, SCHEMES_10),
  policy('CloudFront-TLS-1-0-2014-sha256', 0x0301, SUITES_14, GROUPS_6, SCHEMES_10),
  policy('CloudFront-TLS-1-0-2016', 0x0301, SUITES_15, GROUPS_6, SCHEMES_10),
  policy('CloudFront-TLS-1-1-2016', 0x0302, SUITES_15, GROUPS_6, SCHEMES_10),
  policy('CloudFront-TLS-1-2-2017', 0x0303, SUITES_16, GROUPS_6, SCHEMES_10),
  policy('CloudFront-TLS-1-2-2018-no-sha1', 0x0303, SUITES_17, GROUPS_6, SCHEMES_11),
  policy('CloudFront-TLS-1-2-2019-no-sha1', 0x0303, SUITES_18, GROUPS_6, SCHEMES_11),
  policy('CloudFront-TLS-1-2-2021-no-sha1', 0x0303, SUITES_19, GROUPS_6, SCHEMES_11),
  policy('CloudFront-TLS-1-2-2025', 0x0303, SUITES_20, GROUPS_7, SCHEMES_12),
  policy('CloudFront-TLS-1-3-2025', 0x0304, SUITES_11, GROUPS_6, SCHEMES_13),
  policy('CloudFront-SSL-v-3-no-pq', 0x0300, SUITES_12, GROUPS_8, SCHEMES_9),
  policy('CloudFront-TLS-1-0-2014-no-pq', 0x0301, SUITES_13, GROUPS_8, SCHEMES_10),
  policy('CloudFront-TLS-1-0-2014-sha256-no-pq', 0x0301, SUITES_14, GROUPS_8, SCHEMES_10),
  policy('CloudFront-TLS-1-0-2016-no-pq', 0x0301, SUITES_15, GROUPS_8, SCHEMES_10),
  policy('CloudFront-TLS-1-1-2016-no-pq', 0x0302, SUITES_15, GROUPS_8, SCHEMES_10),
  policy('CloudFront-TLS-1-2-2017-no-pq', 0x0303, SUITES_16, GROUPS_8, SCHEMES_10),
  policy('CloudFront-TLS-1-2-2018-no-sha1-no-pq', 0x0303, SUITES_17, GROUPS_8, SCHEMES_11),
  policy('CloudFront-TLS-1-2-2019-no-sha1-no-pq', 0x0303, SUITES_18, GROUPS_8, SCHEMES_11),
  policy('CloudFront-TLS-1-2-2021-no-sha1-no-pq', 0x0303, SUITES_19, GROUPS_8, SCHEMES_11),
  policy('CloudFront-TLS-1-2-2025-no-pq', 0x0303, SUITES_20, GROUPS_1, SCHEMES_12),
  policy('CloudFront-TLS-1-3-2025-no-pq', 0x0304, SUITES_11, GROUPS_8, SCHEMES_13),
  policy('CloudFront-TLS-1-0-2014-PQ-Beta', 0x0301, SUITES_13, GROUPS_6, SCHEMES_10),
  policy('CloudFront-TLS-1-2-2021-no-sha1-PQ-Beta', 0x0303, SUITES_19, GROUPS_6, SCHEMES_11),
  policy('CloudFront-TLS-1-2-2018-Beta', 0x0303, SUITES_21, GROUPS_8, SCHEMES_9),
  policy('CloudFront-TLS-1-2-2021-Chacha20-Boosted', 0x0303, SUITES_19, GROUPS_8, SCHEMES_10, { chachaFirst: true }),
  policy('CloudFront-SSL-v-3-Legacy', 0x0300, SUITES_22, GROUPS_1, SCHEMES_1),
  policy('CloudFront-TLS-1-0-2014-Legacy', 0x0301, SUITES_23, GROUPS_1, SCHEMES_1),
  policy('CloudFront-TLS-1-0-2016-Legacy', 0x0301, SUITES_24, GROUPS_1, SCHEMES_1),
  policy('CloudFront-TLS-1-1-2016-Legacy', 0x0302, SUITES_24, GROUPS_1, SCHEMES_1),
  policy('CloudFront-TLS-1-2-2018-Legacy', 0x0303, SUITES_25, GROUPS_1, SCHEMES_1),
  policy('CloudFront-TLS-1-2-2019-Legacy', 0x0303, SUITES_26, GROUPS_1, SCHEMES_1),
  policy('CloudFront-TLS-1-2-2018', 0x0303, SUITES_17, GROUPS_8, SCHEMES_10),
  policy('CloudFront-TLS-1-2-2019', 0x0303, SUITES_18, GROUPS_8, SCHEMES_10),
  policy('CloudFront-TLS-1-2-2021', 0x0303, SUITES_19, GROUPS_8, SCHEMES_10),
  policy('CloudFront-TLS-1-2-2021-PQ', 0x0303, SUITES_19, GROUPS_9, SCHEMES_10),
]);
