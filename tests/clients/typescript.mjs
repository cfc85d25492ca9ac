// The TypeScript client (v2): lists the tools, calls one, and prints what it saw as one JSON document.
// Usage: typescript.mjs URL KEY TOOL [VERSION]   (VERSION pins the protocol; without it the client's default is tried)
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';

const [url, key, tool, version] = process.argv.slice(2);
const options = version ? { versionNegotiation: { mode: { pin: version } } } : {};
const client = new Client({ name: 'forelog-test', version: '1' }, options);
await client.connect(
  new StreamableHTTPClientTransport(new URL(url), { requestInit: { headers: { Authorization: `Bearer ${key}` } } }),
);
const { tools } = await client.listTools();
const { structuredContent, isError } = await client.callTool({ name: tool, arguments: {} });
const protocol = client.getNegotiatedProtocolVersion();
console.log(JSON.stringify({ protocol, tools: tools.map((each) => each.name), structuredContent, isError: Boolean(isError) }));
await client.close();
