// Pictures of the console for docs/screens: argv is the demo's demo.json, Chromium, and where to put them.
import { readFileSync } from 'node:fs';
import { chromium } from 'playwright-core';

const [file, executablePath, to] = process.argv.slice(2);
const demo = JSON.parse(readFileSync(file, 'utf8'));
const base = demo.base_url;
const vm = demo.vms[0].id;

const call = async (tool, args, key = demo.customer.api_key) => {
  const answer = await fetch(`${base}/api/v1/tools/${tool}`, {
    method: 'POST',
    headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
    body: JSON.stringify(args),
  });
  return answer.headers.get('forelog-call-id');
};

await call('vm_list', {});
await call('vm_exec', { vm_id: vm, command: 'uptime' });
await call('vm_exec_set', { vm_id: vm, enabled: true, confirmation: `ENABLE MCP EXEC ${vm}` });
await call('vm_exec', { vm_id: vm, command: 'uptime' });
await call('vm_power', { vm_id: vm, action: 'reboot' });
const power = await call('vm_power', { vm_id: vm, action: 'reboot', confirm: true });
for (const { id } of demo.vms) await call('vm_get', { vm_id: id });
await call('no_such_tool', {});

const browser = await chromium.launch({ executablePath, args: ['--no-sandbox'] });

async function visit(who, pages, options = {}) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, ...options });
  const page = await context.newPage();
  await page.goto(`${base}/console/`);
  if (pages['sign-in']) await page.screenshot({ path: `${to}/sign-in.png` });
  await page.fill('#email', who.email);
  await page.fill('#password', who.password);
  await page.keyboard.press('Enter');
  await page.waitForURL(`${base}/console/`);
  for (const [name, path] of Object.entries(pages)) {
    if (name === 'sign-in') continue;
    await page.goto(`${base}/console/${path}`);
    await page.screenshot({ path: `${to}/${name}.png` });
  }
  return page;
}

const customer = { 'sign-in': 'sign-in', overview: '', activity: 'activity', call: `calls/${power}`, vm: `vms/${vm}`, keys: 'keys', events: 'events' };
await visit(demo.customer, customer);
const staff = await visit(demo.staff, { stop: 'switches/new?target=all' });
await staff.fill('#reason', 'Agents reboot machines in a loop');
await staff.keyboard.press('Enter');
await staff.waitForURL(/switches\/swi_/);
await call('vm_list', {});
await staff.waitForResponse((response) => response.url().endsWith('/live'));
await staff.screenshot({ path: `${to}/switch.png` });
const search = await visit(demo.staff, {}, { colorScheme: 'dark' });
await search.goto(`${base}/console/search`);
await search.getByLabel('Reason').fill('incident 42');
await search.keyboard.press('Enter');
await search.waitForURL(/console\/search/);
await search.locator('table.calls').waitFor();
await search.screenshot({ path: `${to}/search.png` });
await browser.close();
