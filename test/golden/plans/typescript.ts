import { sites } from './sites.mts';

/** The same as data, made by a program. */
export default async () => ({
  workers: 2,
  listeners: [
    {
      name: 'web',
      address: `127.0.0.1:${8_000 + sites.length}`,
      tls: { certificates: [{ certificate: 'certs/shop.pem', key: 'certs/shop.key' }] },
      routes: sites.map((site: string) => ({ match: { host: `${site}.shop.example.com` }, to: site })),
    },
  ],
  upstreams: sites.map((name: string) => ({ name, targets: [`${name}.test:8080`] })),
});
