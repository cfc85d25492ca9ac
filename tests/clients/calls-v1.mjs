// The TypeScript SDK (v1), as an agent uses it: lists the tools, then makes each of the calls, and prints what came of them as
// one JSON document. What the client throws is what its agent would see in place of the answer.
// Usage: calls-v1.mjs URL KEY CALLS   (CALLS is a JSON list of { name, arguments })
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';

const [url, key, calls] = process.argv.slice(2);
const client = new Client({ name: 'forelog-test', version: '1' });
const transport = new StreamableHTTPClientTransport(new URL(url), {
  requestInit: { headers: { Authorization: `Bearer ${key}` } },
});
await client.connect(transport);
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
console.log(JSON.stringify({ protocol: transport.protocolVersion, answers }));
await client.close();
