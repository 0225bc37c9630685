// An independent OpenID provider where people sign in, on loopback, with the interactions it has for
// development: any name, any password. Prints its issuer as one line of JSON. It takes lines of JSON:
// `{ "gateway": ORIGIN }` first, which makes its clients; `{ "gone": NAME }` for who leaves. It serves
// until its standard input ends.
//
// Its first argument: `{ "idTokenSeconds": N, "groupsAtUserinfo": true }`.
import { createServer } from 'node:http';
import { createInterface } from 'node:readline';
import { generateKeyPairSync } from 'node:crypto';
import Provider from 'oidc-provider';

// Standard output is for what is said to the test.
console.info = console.log = console.error;
const settings = JSON.parse(process.argv[2] ?? '{}');
const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
const key = { ...privateKey.export({ format: 'jwk' }), use: 'sig', alg: 'RS256', kid: 'one' };
const device = 'urn:ietf:params:oauth:grant-type:device_code';
const gone = new Set();

// Names say what they are: `bea.dba.admins` is in two groups, `robot-x` is an agent.
const account = (name) => ({
  accountId: name,
  claims: (use) => ({
    sub: name,
    preferred_username: name.split('.')[0],
    kind: name.startsWith('robot') ? 'agent' : 'person',
    ...(settings.groupsAtUserinfo && use === 'id_token' ? {} : { groups: name.split('.').slice(1) }),
  }),
});

const start = (issuer, gateway) => new Provider(issuer, {
  jwks: { keys: [key] },
  cookies: { keys: ['for this test only'] },
  clients: [{
    client_id: 'gateway',
    client_secret: 'a-secret-for-this-test-only',
    grant_types: ['authorization_code', 'refresh_token'],
    response_types: ['code'],
    redirect_uris: [`${gateway}/auth/callback`],
    post_logout_redirect_uris: [`${gateway}/`],
  }, {
    client_id: 'terminal',
    token_endpoint_auth_method: 'none',
    application_type: 'native',
    grant_types: ['authorization_code', 'refresh_token', device],
    response_types: ['code'],
    redirect_uris: ['http://127.0.0.1/callback'],
  }],
  scopes: ['openid', 'offline_access'],
  claims: { openid: ['sub', 'preferred_username', 'kind', 'groups'] },
  conformIdTokenClaims: false,
  issueRefreshToken: async () => true,
  findAccount: (_ctx, name) => (gone.has(name) ? undefined : account(name)),
  ttl: { IdToken: settings.idTokenSeconds ?? 3600 },
  features: {
    devInteractions: { enabled: true },
    deviceFlow: { enabled: true },
    revocation: { enabled: true },
  },
});

const server = createServer();
server.listen(0, '127.0.0.1', () => {
  const issuer = `http://127.0.0.1:${server.address().port}`;
  const lines = createInterface({ input: process.stdin });
  lines.on('line', (line) => {
    const said = JSON.parse(line);
    if (said.gateway) server.on('request', start(issuer, said.gateway).callback());
    if (said.gone) gone.add(said.gone);
    process.stdout.write('{}\n');
  });
  lines.on('close', () => process.exit(0));
  process.stdout.write(`${JSON.stringify({ issuer })}\n`);
});
