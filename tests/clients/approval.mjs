// The TypeScript client (v2) calls a tool that a person has to approve. Asked to show its user a link, it answers there as
// that person would, over REST; then it prints what the call came to as one JSON document.
// Usage: approval.mjs BASE KEY APPROVER_KEY TOOL VERDICT [VERSION]
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';

const [base, key, approver, tool, verdict, version] = process.argv.slice(2);
const bearer = (text) => ({ Authorization: `Bearer ${text}` });
const client = new Client(
  { name: 'forelog-test', version: '1' },
  { capabilities: { elicitation: { url: {} } }, ...(version && { versionNegotiation: { mode: { pin: version } } }) },
);
const links = [];
client.setRequestHandler('elicitation/create', async ({ params }) => {
  links.push(params.url);
  const call = new URL(params.url).pathname.split('/').pop();
  const answer = await fetch(`${base}/api/v1/approvals/${call}`, {
    method: 'POST',
    headers: { ...bearer(approver), 'content-type': 'application/json' },
    body: JSON.stringify({ verdict, reason: 'asked by a client' }),
  });
  if (!answer.ok) throw new Error(await answer.text());
  return { action: 'accept' };
});
await client.connect(new StreamableHTTPClientTransport(new URL(`${base}/mcp`), { requestInit: { headers: bearer(key) } }));
const { structuredContent, isError } = await client.callTool({ name: tool, arguments: {} });
const protocol = client.getNegotiatedProtocolVersion();
console.log(JSON.stringify({ protocol, links, structuredContent, isError: Boolean(isError) }));
await client.close();
