// The TypeScript SDK (v1): lists the tools, calls one, and prints what it saw as one JSON document.
// Usage: typescript-v1.mjs URL KEY TOOL
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';

const [url, key, tool] = process.argv.slice(2);
const client = new Client({ name: 'forelog-test', version: '1' });
const transport = new StreamableHTTPClientTransport(new URL(url), {
  requestInit: { headers: { Authorization: `Bearer ${key}` } },
});
await client.connect(transport);
const { tools } = await client.listTools();
const { structuredContent, isError } = await client.callTool({ name: tool, arguments: {} });
const protocol = transport.protocolVersion;
console.log(JSON.stringify({ protocol, tools: tools.map((each) => each.name), structuredContent, isError: Boolean(isError) }));
await client.close();
