export const sites: readonly string[] = ['one', 'two'];
