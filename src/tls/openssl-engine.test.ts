import { OpensslEngine } from './openssl-engine.ts';
import { engineContract } from './test-engine-contract.ts';
import { selfSigned } from './test-self-signed.ts';

const ecdsa = selfSigned('ec', '-pkeyopt', 'ec_paramgen_curve:P-256');
const rsa = selfSigned('rsa:2048');

engineContract(new OpensslEngine(), { ecdsa, rsa });
