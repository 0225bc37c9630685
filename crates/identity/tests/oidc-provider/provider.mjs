// An independent OpenID provider on loopback: prints its issuer as one line of JSON, serves until
// its standard input ends. Resources `urn:alg:ALG` give access tokens signed with ALG.
import { createServer } from 'node:http';
import { generateKeyPairSync, randomUUID } from 'node:crypto';
import Provider from 'oidc-provider';

const key = (type, options, alg) => {
  const { privateKey } = generateKeyPairSync(type, options);
  return { ...privateKey.export({ format: 'jwk' }), use: 'sig', alg, kid: randomUUID() };
};

const keys = [
  key('rsa', { modulusLength: 2048 }, 'RS256'),
  key('rsa', { modulusLength: 2048 }, 'PS256'),
  key('ec', { namedCurve: 'P-256' }, 'ES256'),
  key('ec', { namedCurve: 'P-384' }, 'ES384'),
  key('ed25519', {}, 'EdDSA'),
];
const algorithms = keys.map(({ alg }) => alg);

const server = createServer();
server.listen(0, '127.0.0.1', () => {
  const issuer = `http://127.0.0.1:${server.address().port}`;
  const provider = new Provider(issuer, {
    jwks: { keys },
    enabledJWA: { idTokenSigningAlgValues: algorithms },
    clients: [{
      client_id: 'job',
      client_secret: 'a-secret-for-this-test-only',
      grant_types: ['client_credentials'],
      redirect_uris: [],
      response_types: [],
    }],
    scopes: ['query'],
    extraTokenClaims: () => ({ groups: ['ci', 'readers'], repository: 'org/app' }),
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      resourceIndicators: {
        enabled: true,
        getResourceServerInfo: (_ctx, resource) => ({
          scope: 'query',
          audience: 'portcullis',
          accessTokenTTL: 300,
          accessTokenFormat: 'jwt',
          jwt: { sign: { alg: resource.slice('urn:alg:'.length) } },
        }),
      },
    },
  });
  server.on('request', provider.callback());
  process.stdout.write(`${JSON.stringify({ issuer, algorithms })}\n`);
});
process.stdin.on('end', () => process.exit(0)).resume();
