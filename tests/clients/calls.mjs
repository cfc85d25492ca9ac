// The TypeScript client (v2), as an agent uses it: lists the tools, then makes each of the calls, and prints what came of them
// as one JSON document. What the client throws is what its agent would see in place of the answer.
// Usage: calls.mjs URL KEY CALLS [VERSION]   (CALLS is a JSON list of { name, arguments }; VERSION pins the protocol)
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';

const [url, key, calls, version] = process.argv.slice(2);
const options = version ? { versionNegotiation: { mode: { pin: version } } } : {};
const client = new Client({ name: 'forelog-test', version: '1' }, options);
await client.connect(
  new StreamableHTTPClientTransport(new URL(url), { requestInit: { headers: { Authorization: `Bearer ${key}` } } }),
);
await client.listTools();
const answers = [];
for (const call of JSON.parse(calls)) {
  try {
    const { content, structuredContent, isError } = await client.callTool(call);
    answers.push({ text: content[0].text, structuredContent, isError: Boolean(isError) });
  } catch (error) {
    answers.push({ thrown: String(error), code: error.code, data: error.data });
  }
}
console.log(JSON.stringify({ protocol: client.getNegotiatedProtocolVersion(), answers }));
await client.close();
