// A page of another origin that speaks MCP and REST with the demo from a real browser: argv is the demo's demo.json, then the
// browser. Prints what the page of a listed origin and that of another one saw, as one JSON document.
import { createServer } from 'node:http';
import { readFileSync } from 'node:fs';
import { chromium } from 'playwright-core';

const [file, executablePath] = process.argv.slice(2);
const demo = JSON.parse(readFileSync(file, 'utf8'));
const pages = createServer((_, response) => response.setHeader('content-type', 'text/html').end('<!doctype html><title>page</title>'));
await new Promise((resolve) => pages.listen(0, '127.0.0.1', resolve));
const { port } = pages.address();

async function look({ base, key }) {
  const ask = async (path, init) => {
    try {
      const answer = await fetch(`${base}${path}`, init);
      return [answer, await answer.text()];
    } catch (error) {
      return [null, error.name];
    }
  };
  const client = { name: 'page', version: '1' };
  const params = { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: client };
  const headers = { authorization: `Bearer ${key}`, 'content-type': 'application/json', 'mcp-protocol-version': '2025-11-25' };
  const post = (path, more, body) => ask(path, { method: 'POST', headers: { ...headers, ...more }, body: JSON.stringify(body) });
  const stream = { accept: 'application/json, text/event-stream' };
  const [begun, beginning] = await post('/mcp/', stream, { jsonrpc: '2.0', id: 1, method: 'initialize', params });
  const session = begun?.headers.get('mcp-session-id');
  const [, listed] = await post('/mcp', { ...stream, 'mcp-session-id': session }, { jsonrpc: '2.0', id: 2, method: 'tools/list' });
  const [called, result] = await post('/api/v1/tools/vm_list', {}, {});
  const [refused] = await ask('/api/v1/calls', { headers: { authorization: 'Bearer nobody' } });
  const [console_] = await ask('/console/sign-in', { credentials: 'include' });
  return {
    session: Boolean(session),
    initialized: beginning.includes('protocolVersion') || beginning,
    tools: listed.includes('vm_list'),
    call: Boolean(called?.headers.get('forelog-call-id')) && result.includes('web-1'),
    challenge: refused?.headers.get('www-authenticate') ?? null,
    console: console_ !== null,
  };
}

const browser = await chromium.launch({ executablePath, args: ['--no-sandbox'] });
try {
  const seen = [];
  for (const host of ['localhost', '127.0.0.1']) {
    const page = await browser.newPage();
    await page.goto(`http://${host}:${port}/`);
    seen.push(await page.evaluate(look, { base: demo.base_url, key: demo.customer.api_key }));
  }
  console.log(JSON.stringify(seen));
} finally {
  await browser.close();
  pages.close();
}
