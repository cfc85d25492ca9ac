// A real OpenID provider (oidc-provider, certified) on a loopback port. Prints its address, reads one line of JSON
// `{now, clients, people, in_token}` and prints `ready`. It ends with its standard input.
import { createServer } from 'node:http';
import { createInterface } from 'node:readline';

// What it says about how it should be configured for production goes where nobody parses.
console.info = console.warn = console.error;
const server = createServer().listen(0, '127.0.0.1', () => console.log(`http://127.0.0.1:${server.address().port}`));
const lines = createInterface({ input: process.stdin });
lines.on('close', () => process.exit(0));
lines.once('line', async (line) => {
  const { now, clients, people, in_token: inToken } = JSON.parse(line);
  if (now) {
    const offset = now - Date.now();
    const real = Date.now.bind(Date);
    Date.now = () => real() + offset;
  }
  const { default: Provider } = await import('oidc-provider');
  const provider = new Provider(`http://127.0.0.1:${server.address().port}`, {
    clients,
    claims: { openid: ['sub'], email: ['email', 'email_verified'], groups: ['groups'] },
    scopes: ['openid', 'email', 'groups'],
    // Else claims are told on being asked only, as the specification has it for a flow with a code.
    conformIdTokenClaims: !inToken,
    cookies: { keys: ['of a test'] },
    findAccount: (_, id) => people[id] && { accountId: id, claims: () => ({ sub: id, ...people[id] }) },
    // Nobody is asked for consent; signing in is a form.
    async loadExistingGrant({ oidc }) {
      const grant = new oidc.provider.Grant({ clientId: oidc.client.clientId, accountId: oidc.session.accountId });
      grant.addOIDCScope('openid email groups');
      await grant.save();
      return grant;
    },
  });
  server.on('request', provider.callback());
  console.log('ready');
});
