// The console in a real browser: argv is the scenario, then the demo's demo.json. Prints what was seen as one JSON document.
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { chromium } from 'playwright-core';
import { AxeBuilder } from '@axe-core/playwright';

const [scenario, file, executablePath] = process.argv.slice(2);
const demo = JSON.parse(readFileSync(file, 'utf8'));
const base = demo.base_url;
const tags = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'];
const seen = { violations: [], errors: [], elsewhere: [], overflows: [], said: [] };

const call = (tool, args, key = demo.customer.api_key) =>
  fetch(`${base}/api/v1/tools/${tool}`, {
    method: 'POST',
    headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
    body: JSON.stringify(args),
  });

async function open(browser, options) {
  const context = await browser.newContext({ viewport: { width: 1440, height: 900 }, ...options });
  const page = await context.newPage();
  page.on('console', (message) => ['error', 'warning'].includes(message.type()) && seen.errors.push(message.text()));
  page.on('pageerror', (error) => seen.errors.push(String(error)));
  page.on('request', (request) => request.url().startsWith(`${base}/`) || seen.elsewhere.push(request.url()));
  return page;
}

// By keyboard alone, so that the order of focus is part of what holds.
async function signIn(page, who) {
  await page.goto(`${base}/console/`);
  await page.locator('#email').focus();
  await page.keyboard.type(who.email);
  await page.keyboard.press('Tab');
  await page.keyboard.type(who.password);
  await page.keyboard.press('Enter');
  await page.waitForURL(`${base}/console/`);
}

async function judge(page, name) {
  const { violations } = await new AxeBuilder({ page }).withTags(tags).analyze();
  for (const { id, nodes } of violations) seen.violations.push(`${name}: ${id} ${nodes.map((node) => node.html).slice(0, 3).join(' ')}`);
}

// What can be pressed and is not within the width of the screen: nothing that stops or revokes is found by scrolling sideways.
const outside = (page) => page.evaluate(() =>
  [...document.querySelectorAll('button, .button, summary, nav[aria-label="Main"] a, td.act a, input, select')]
    .filter((element) => element.checkVisibility() && !element.closest('.hidden'))
    .filter((element) => { const box = element.getBoundingClientRect(); return box.left < -0.5 || box.right > window.innerWidth + 0.5; })
    .map((element) => element.outerHTML.slice(0, 120)));

async function measure(page, name) {
  for (const width of [1440, 768, 390, 360]) {
    await page.setViewportSize({ width, height: 800 });
    const over = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
    if (over > 0) seen.overflows.push(`${name} at ${width}: ${over}`);
    seen.overflows.push(...(await outside(page)).map((html) => `${name} at ${width} is out of sight: ${html}`));
    const small = await page.evaluate(() =>
      [...document.querySelectorAll('a, button, input:not([type=hidden], [type=checkbox]), select, summary')]
        .filter((element) => element.checkVisibility() && !element.closest('p, dd, .about') && !element.classList.contains('skip'))
        .filter((element) => element.getBoundingClientRect().height < 23.5)
        .map((element) => element.outerHTML.slice(0, 120)));
    seen.overflows.push(...small.map((html) => `${name} at ${width} is a small target: ${html}`));
  }
  await page.setViewportSize({ width: 1440, height: 900 });
}

const scenarios = {
  async pages(browser) {
    const vm = demo.vms[0].id;
    await call('vm_exec_set', { vm_id: vm, enabled: true, confirmation: `ENABLE MCP EXEC ${vm}` });
    await call('vm_exec', { vm_id: vm, command: 'echo "<script>alert(1)</script>"' });
    await call('vm_power', { vm_id: vm, action: 'reboot' });
    await call('no_such_tool', {});
    for (const colorScheme of ['light', 'dark']) {
      const page = await open(browser, { colorScheme });
      const look = async (name) => { await judge(page, `${name}, ${colorScheme}`); await measure(page, name); };
      await page.goto(`${base}/console/sign-in`);
      await look('sign-in');
      await signIn(page, demo.customer);
      await look('overview');
      await page.getByRole('link', { name: 'Activity', exact: true }).click();
      await look('activity');
      await page.selectOption('#outcome', 'refused');
      await page.getByRole('button', { name: 'Filter' }).click();
      seen.said.push(new URL(page.url()).searchParams.get('outcome'));
      await page.goto(`${base}/console/activity?tool=vm_exec`);
      await page.locator('td.time a').first().click();
      seen.said.push(await page.locator('h1').innerText());
      await look('call');
      for (const path of [`vms/${vm}`, 'approvals', 'keys', 'people', 'connect', 'account', 'nowhere']) {
        await page.goto(`${base}/console/${path}`);
        await look(path);
      }
      await page.goto(`${base}/console/people`);
      await page.getByLabel('E-mail').fill('new@example.com');
      await page.getByRole('button', { name: 'Create invitation' }).click();
      await look('invited');
      const link = await page.getByLabel('Link').inputValue();
      await page.goto(`${base}/console/people`);
      await look('people with an invitation');
      await page.getByRole('link', { name: demo.customer.email }).click();
      await look('a person');
      // Nobody removes themselves, and there is nobody else here yet.
      seen.said.push(String(await page.getByRole('link', { name: 'Remove person' }).count()));
      await page.goto(link);
      await look('welcome');
      seen.errors = seen.errors.filter((text) => !text.includes('404'));
      await page.context().close();
    }
    const page = await open(browser, {});
    await signIn(page, demo.staff);
    await judge(page, 'staff');
    await page.context().close();
  },

  // Staff stop everything by keyboard while an agent calls in a loop, and watch it stop.
  async incident(browser) {
    for (const colorScheme of ['light', 'dark']) {
      const page = await open(browser, { colorScheme });
      const look = async (name) => { await judge(page, `${name}, ${colorScheme}`); await measure(page, name); };
      await signIn(page, demo.staff);
      const press = async (role, name) => { await page.getByRole(role, { name }).focus(); await page.keyboard.press('Enter'); };
      if (colorScheme === 'dark') {
        await page.goto(`${base}/console/switches`);
        await look('switches with one in force');
        await page.locator('tbody a').first().click();
        await look('a switch');
        await page.context().close();
        continue;
      }
      const vm = demo.vms[0].id;
      await call('vm_exec_set', { vm_id: vm, enabled: true, confirmation: `ENABLE MCP EXEC ${vm}` });
      const { command_id: endless } = await (await call('command_start', { vm_id: vm, command: 'sleep 3600' })).json();
      let calling = true;
      const codes = [];
      const loop = (async () => {
        while (calling) {
          const answer = await (await call('vm_list', {})).json();
          codes.push(answer.error?.code ?? 'done');
          // The browser comes from the same address, which may ask so often and no more.
          await new Promise((resolve) => setTimeout(resolve, 50));
        }
      })();
      while (!codes.length) await new Promise((resolve) => setTimeout(resolve, 10));
      await press('link', 'Switches');
      await page.waitForURL(`${base}/console/switches`);
      await look('switches');
      await press('button', 'Run drill');
      await page.waitForURL(/#drill$/);
      seen.said.push(await page.locator('.done strong').innerText());
      await look('switches with a drill');
      await press('link', /Stop all agent calls/);
      await page.waitForURL(/switches\/new/);
      await look('stop');
      await page.locator('#reason').focus();
      await page.keyboard.type('a drill');
      await page.keyboard.press('Enter');
      await page.waitForURL(/switches\/swi_/);
      const stopped = codes.length + 1;
      while (codes.length < stopped + 3) await new Promise((resolve) => setTimeout(resolve, 10));
      // The page asks again by itself.
      await page.waitForResponse((response) => response.url().endsWith('/live') && response.ok());
      seen.said.push(await page.locator('#live dd').first().innerText());
      await look('a switch');
      calling = false;
      await loop;
      seen.said.push(codes[0], ...new Set(codes.slice(stopped)));
      // What still runs is ended by its own button, which keeps the focus while the page asks again.
      await page.getByRole('button', { name: /^Cancel command_start on / }).focus();
      await page.waitForResponse((response) => response.url().endsWith('/live') && response.ok());
      seen.said.push(String(await page.evaluate(() => document.activeElement.id.startsWith('cancel-call_'))));
      await page.keyboard.press('Enter');
      await page.getByRole('button', { name: /^Cancel command_start on / }).waitFor({ state: 'detached' });
      await page.getByRole('heading', { name: 'Still running' }).waitFor({ state: 'detached' });
      const told = await fetch(`${base}/api/v1/calls/${endless}`, { headers: { authorization: `Bearer ${demo.staff.api_key}` } });
      seen.said.push((await told.json()).status);
      // Two persons let it go, step by step.
      const gently = async (page) => {
        await page.locator('#why').fill('it is over');
        await page.locator('#typed').fill('all');
        await page.locator('#ramp').selectOption('30');
        await page.locator('#typed').focus();
        await page.keyboard.press('Enter');
      };
      const address = page.url();
      await gently(page);
      await page.getByText('has requested the release').waitFor();
      const second = await open(browser, { colorScheme });
      await signIn(second, demo.staff2);
      await second.goto(address);
      await gently(second);
      await second.getByText('The release is under way.').waitFor();
      await judge(second, `a ramp, ${colorScheme}`);
      await measure(second, 'a ramp');
      await second.context().close();
      await page.context().close();
    }
  },

  // From a question to a call and back by keyboard alone.
  async staff(browser) {
    const vm = demo.vms[0].id;
    await call('vm_get', { vm_id: vm });
    await call('vm_power', { vm_id: vm, action: 'reboot' });
    await call('no_such_tool', {});
    for (const colorScheme of ['light', 'dark']) {
      const page = await open(browser, { colorScheme });
      const look = async (name) => { await judge(page, `${name}, ${colorScheme}`); await measure(page, name); };
      await signIn(page, demo.staff);
      await page.getByRole('link', { name: 'Search', exact: true }).focus();
      await page.keyboard.press('Enter');
      await page.waitForURL(/console\/reason/);
      await look('reason');
      await page.locator('#reason').focus();
      await page.keyboard.type('a drill');
      await page.keyboard.press('Enter');
      await page.getByRole('heading', { name: 'Search', exact: true }).waitFor();
      await look('search');
      await page.keyboard.press('/');
      await page.keyboard.type('tool:vm_get colour:red');
      await page.keyboard.press('Enter');
      await page.locator('.caret').waitFor();
      await look('a line that cannot be read');
      await page.keyboard.press('/');
      await page.keyboard.type('tool:vm_get,vm_power last:1h');
      await page.keyboard.press('Enter');
      await page.waitForURL(/vm_power/);
      await page.locator('table.found').waitFor();
      await page.keyboard.press('j');
      await page.keyboard.press('j');
      await page.keyboard.press('k');
      await page.keyboard.press('Enter');
      await page.waitForURL(/console\/calls/);
      seen.said.push(await page.locator('h1').innerText());
      await look('a call for staff');
      const [credential, account] = await Promise.all(['credentials', 'accounts'].map((place) =>
        page.locator(`dd a[href^="/console/${place}/"]`).first().getAttribute('href')));
      await page.goBack();
      await page.locator('table.found').waitFor();
      seen.said.push(await page.locator('#q').inputValue());
      await page.keyboard.press('?');
      seen.said.push(String(await page.locator('#shortcuts').getAttribute('open') !== null));
      await page.getByRole('button', { name: 'Turn these keys off' }).click();
      await page.keyboard.press('Escape');
      await page.locator('h1').click();
      await page.keyboard.press('/');
      seen.said.push(await page.evaluate(() => document.activeElement.id));
      for (const path of [account, credential, `${credential}/revoke`, `/console/vms/${vm}/stop-commands`, '/console/events', '/console/search?q=outcome:held']) {
        await page.goto(base + path);
        await look(path.replace(/_[0-9A-Z]{26}/, ''));
      }
      await page.context().close();
    }
  },

  // What people come for, counted in clicks from the page that they are shown first.
  async tasks(browser) {
    const [vm] = demo.vms;
    await call('vm_exec_set', { vm_id: vm.id, enabled: true, confirmation: `ENABLE MCP EXEC ${vm.id}` });
    await call('vm_exec', { vm_id: vm.id, command: 'echo marsupial; exit 3' });
    await call('vm_power', { vm_id: vm.id, action: 'reboot' });
    let clicks = 0;
    const press = async (target, options) => { clicks += 1; await target.click(options); };
    const page = await open(browser, {});
    await signIn(page, demo.customer);
    await press(page.getByRole('table').getByRole('link', { name: vm.label, exact: true }).first());
    const days = page.getByRole('navigation', { name: 'History of' });
    const today = await days.getByRole('link', { name: 'Today' }).getAttribute('href');
    await press(days.getByRole('link', { name: 'Yesterday' }));
    const asked = new URL(page.url()).searchParams;
    seen.said.push(`clicks ${clicks}`, String(asked.get('vm') === vm.id && new Date(asked.get('to')) - new Date(asked.get('from')) === 86400000));
    await page.goto(base + today);
    await page.getByText('Ran, exit 3').waitFor();
    seen.said.push(await page.locator('code.command').first().innerText());
    await judge(page, 'a day of a VM');
    await measure(page, 'a day of a VM');
    await page.setViewportSize({ width: 1440, height: 900 });
    // Anywhere in the row leads to the call.
    await page.locator('table.calls tbody tr', { hasText: 'marsupial' }).locator('td.outcome').click({ force: true });
    await page.waitForURL(/console\/calls/);
    seen.said.push((await page.locator('.terminal .chip').innerText()).split(' · ')[0]);
    await judge(page, 'a command');
    await measure(page, 'a command');
    await page.context().close();

    const staff = await open(browser, {});
    await signIn(staff, demo.staff);
    await staff.goto(`${base}/console/reason?next=/console/`);
    await staff.getByLabel('Reason').fill('a drill');
    await staff.getByRole('button', { name: 'Continue' }).click();
    clicks = 0;
    await press(staff.getByRole('link', { name: 'Search', exact: true }));
    await press(staff.locator('td.of a').first(), { position: { x: 4, y: 4 } });
    await press(staff.getByRole('link', { name: 'Refused destructive calls' }));
    await staff.locator('table.found').waitFor();
    seen.said.push(`clicks ${clicks}`, await staff.locator('td.tool code').first().innerText());
    seen.said.push(String(await staff.locator('td.outcome .chip:not(.refused)').count()));
    await staff.context().close();
  },

  async tail(browser) {
    for (const colorScheme of ['light', 'dark']) {
      const page = await open(browser, { colorScheme });
      await signIn(page, demo.staff);
      await page.goto(`${base}/console/tail?q=tool:vm_get`);
      await page.getByLabel('Reason').fill('a drill');
      await page.getByRole('button', { name: 'Continue' }).click();
      await page.getByText('Connected', { exact: true }).waitFor();
      const rows = page.locator('#tail tbody tr');
      const before = await rows.count();
      await call('vm_get', { vm_id: demo.vms[0].id });
      await call('vm_list', {});
      await rows.nth(before).waitFor();
      await page.locator('#tail tbody tr').first().getByText('Succeeded').waitFor();
      await judge(page, `tail, ${colorScheme}`);
      await measure(page, 'tail');
      await page.getByRole('button', { name: 'Pause' }).click();
      await call('vm_get', { vm_id: demo.vms[0].id });
      await page.getByRole('button', { name: 'Go on (1)' }).waitFor();
      seen.said.push(String(await rows.count() - before));
      await page.getByRole('button', { name: 'Go on (1)' }).click();
      seen.said.push(String(await rows.count() - before));
      await page.keyboard.press('j');
      await page.keyboard.press('Enter');
      await page.waitForURL(/console\/calls/);
      await page.context().close();
    }
  },

  // Times in the browser's zone, a part of the time drawn over and by keyboard, an export, and a tail that waits for its reader.
  async reading(browser) {
    const vm = { vm_id: demo.vms[0].id };
    for (let n = 0; n < 3; n += 1) await call('vm_get', vm);
    const page = await open(browser, { timezoneId: 'Asia/Tokyo' });
    await signIn(page, demo.staff);
    await page.goto(`${base}/console/search`);
    await page.getByLabel('Reason').fill('a drill');
    await page.getByRole('button', { name: 'Continue' }).click();
    const time = page.locator('td.time time').first();
    const iso = await time.getAttribute('datetime');
    const stamp = (hours) => new Date(new Date(iso).getTime() + hours * 3600000).toISOString().slice(0, 19).replace('T', ' ');
    seen.said.push(String(await time.innerText() === stamp(0)), String((await time.getAttribute('title')).endsWith(`${stamp(9)} GMT+9`)));
    await page.getByRole('button', { name: 'Asia/Tokyo' }).click();
    await page.locator('html[data-zone=local]').waitFor();
    seen.said.push(String(await time.innerText() === stamp(9)), await page.locator('th .zone').last().innerText());
    seen.said.push(String((await time.getAttribute('title')).startsWith(iso)));
    await judge(page, 'search in the local zone');

    const drawn = async () => {
      await page.waitForURL(/created%3A2/);
      const told = /created:(\S+)\.\.(\S+)/.exec(await page.locator('#q').inputValue());
      await page.locator('table.found').waitFor();
      return (new Date(told[2]) - new Date(told[1])) / 3600000;
    };
    const box = await page.locator('.bars svg').boundingBox();
    await page.mouse.move(box.x + box.width * 0.505, box.y + 40);
    await page.mouse.down();
    await page.mouse.move(box.x + box.width * 0.7, box.y + 40);
    await page.mouse.move(box.x + box.width - 2, box.y + 40);
    await page.mouse.up();
    seen.said.push(String(Math.round(await drawn())));
    await page.goto(`${base}/console/search?q=vm_get+last:24h`);
    await page.locator('.bars a[tabindex="0"]').focus();
    await page.keyboard.press('ArrowRight');
    await page.keyboard.press('Enter');
    seen.said.push(String(Math.round(await drawn() * 10) / 10));

    await page.getByRole('button', { name: 'CSV' }).click();
    await page.waitForURL(/console\/exports\/call_/);
    await judge(page, 'an export');
    await measure(page, 'an export');
    const [download] = await Promise.all([page.waitForEvent('download'), page.getByRole('link', { name: /^Download/ }).click()]);
    const sha256 = createHash('sha256').update(readFileSync(await download.path())).digest('hex');
    seen.said.push(String((await page.locator('pre').innerText()).includes(sha256)));
    await page.goto(`${base}/console/exports`);
    await judge(page, 'exports');
    await measure(page, 'exports');

    await page.goto(`${base}/console/tail?q=tool:vm_get`);
    await page.getByText('Connected', { exact: true }).waitFor();
    const rows = page.locator('#tail tbody tr');
    const before = await rows.count();
    await rows.first().hover();
    await page.getByText('Paused while you point at them').waitFor();
    await call('vm_get', vm);
    await page.getByRole('button', { name: 'Go on (1)' }).waitFor();
    seen.said.push(String(await rows.count() - before));
    await page.locator('h1').hover();
    await rows.nth(before).waitFor();
    await page.locator('td.time a').first().focus();
    await page.getByText('Paused while the focus is in them').waitFor();
    await page.locator('#q').focus();
    await page.getByRole('button', { name: 'Pause', exact: true }).waitFor();
    await page.context().close();
  },

  async staff_without_a_script(browser) {
    await call('vm_get', { vm_id: demo.vms[0].id });
    const page = await open(browser, { javaScriptEnabled: false });
    await signIn(page, demo.staff);
    await page.goto(`${base}/console/search`);
    await page.getByLabel('Reason').fill('a drill');
    await page.getByRole('button', { name: 'Continue' }).click();
    await page.getByText('Fields', { exact: true }).click();
    await page.getByLabel('Tool', { exact: true }).fill('vm_get');
    await page.getByRole('button', { name: 'Add to search' }).click();
    seen.said.push(await page.locator('#q').inputValue());
    await page.locator('td.time a').first().click();
    seen.said.push(await page.locator('h1').innerText());
    await page.getByRole('link', { name: 'In its account' }).click();
    seen.said.push(String(await page.locator('td.time').count() > 0));
    await page.goto(`${base}/console/tail`);
    const before = await page.locator('td.time').count();
    await call('vm_get', { vm_id: demo.vms[0].id });
    await page.getByRole('link', { name: 'Refresh' }).click();
    seen.said.push(String(await page.locator('td.time').count() - before));
    await page.context().close();
  },

  async without_a_script(browser) {
    const page = await open(browser, { javaScriptEnabled: false });
    await signIn(page, demo.customer);
    await page.getByRole('button', { name: 'Dark' }).click();
    seen.said.push(await page.locator('html').getAttribute('data-theme'));
    await page.goto(`${base}/console/keys`);
    await page.getByLabel('Name', { exact: true }).fill('laptop');
    await page.getByRole('button', { name: 'Create key' }).click();
    const key = await page.getByLabel('Key', { exact: true }).inputValue();
    await call('vm_list', {}, key);
    await page.getByRole('link', { name: 'Refresh' }).click();
    seen.said.push(await page.locator('#connected strong').innerText());
    await page.goto(`${base}/console/vms/${demo.vms[0].id}`);
    await page.getByText('Stop all agents on this VM').click();
    await page.getByLabel('Reason').fill('a drill');
    await page.getByRole('button', { name: /Stop all agents on/ }).click();
    seen.said.push((await (await call('vm_get', { vm_id: demo.vms[0].id })).json()).error.code);
    await page.getByRole('button', { name: 'Sign out' }).click();
    seen.said.push(new URL(page.url()).pathname);
    await page.context().close();
  },

  // Every page, on a phone and on a tablet. Says which pages were measured, as routes.
  async small(browser) {
    const vm = demo.vms[0].id;
    const key = await (await call('key_create', { label: 'a key with quite a long name, as people give them', scopes: ['vms:read'] }, demo.customer.api_key)).json();
    await call('vm_exec_set', { vm_id: vm, enabled: true, confirmation: `ENABLE MCP EXEC ${vm}` });
    const done = await call('vm_exec', { vm_id: vm, command: 'echo a-long-command-without-any-spaces-in-it-that-could-be-wrapped-somewhere' });
    const made = done.headers.get('forelog-call-id');
    const visited = new Set();
    const look = async (page, name) => {
      for (const width of [390, 768]) {
        await page.setViewportSize({ width, height: 844 });
        const over = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
        if (over > 0) seen.overflows.push(`${name} at ${width}: ${over}`);
        seen.overflows.push(...(await outside(page)).map((html) => `${name} at ${width} is out of sight: ${html}`));
        const tall = await page.evaluate(() => [...document.querySelectorAll('.switches summary, .notices li')].filter((line) => line.getBoundingClientRect().height > 44).map((line) => line.outerHTML.slice(0, 80)));
        seen.overflows.push(...tall.map((html) => `${name} at ${width} has a banner of more than one line: ${html}`));
        const low = await page.evaluate(() => [...document.querySelectorAll('button, .button, summary, select, nav a, input:not([type=hidden], [type=checkbox], [type=radio])')]
          .filter((target) => target.checkVisibility() && !target.closest('.hidden') && target.getBoundingClientRect().height < 39.5).map((target) => target.outerHTML.slice(0, 120)));
        seen.overflows.push(...low.map((html) => `${name} at ${width} is too low for a finger: ${html}`));
      }
      if (['accounts', 'approvals', 'keys', 'key created', 'nowhere'].includes(name)) await judge(page, name);
    };
    const visit = async (page, paths) => {
      for (const path of paths) {
        await page.goto(`${base}/console/${path}`);
        await look(page, path);
        visited.add(`/${path.replace(/[?#].*/, '').replace(/(acc|call|key|swi|usr|vm|inv)_[0-9A-Z]{26}/g, '{id}')}`);
      }
    };
    const staff = await open(browser, {});
    await visit(staff, ['sign-in']);
    await signIn(staff, demo.staff);
    await staff.goto(`${base}/console/reason?next=/console/`);
    await look(staff, 'reason');
    visited.add('/reason');
    await staff.getByLabel('Reason').fill('a drill');
    await staff.getByRole('button', { name: 'Continue' }).click();
    // With a switch in force whose reason is longer than a line.
    await staff.goto(`${base}/console/switches/new?target=class:destroy`);
    await staff.getByLabel('Reason').fill('Agents destroy machines in a loop, so nothing is destroyed until somebody has looked into why they do it');
    await staff.getByRole('button', { name: /^Stop every destroy call/ }).click();
    await staff.waitForURL(/switches\/swi_/);
    const engaged = new URL(staff.url()).pathname.replace('/console/', '');
    const person = await (await fetch(`${base}/api/v1/people?account=${demo.customer.account}`, { headers: { authorization: `Bearer ${demo.staff.api_key}` } })).json();
    await staff.goto(`${base}/console/search?q=last:24h`);
    await staff.getByRole('button', { name: 'CSV' }).click();
    await staff.waitForURL(/exports\/call_/);
    const exported = new URL(staff.url()).pathname.replace('/console/', '');
    await staff.goto(`${base}/console/people?account=${demo.customer.account}`);
    const someone = (await staff.locator('tbody th a').first().getAttribute('href')).replace('/console/', '');
    await visit(staff, ['', 'search?q=last:24h', 'search?q=colour:red', 'tail', 'accounts', `accounts/${demo.customer.account}`, `credentials/${key.id}`, `credentials/${key.id}/revoke`,
      'approvals', 'switches', 'switches/new?target=all', engaged, 'events', 'rules', 'people', `people?account=${demo.customer.account}`, someone, `${someone}/remove`,
      'account', 'exports', exported, `calls/${made}`, `calls/${made}/raw`, `vms/${vm}`, `vms/${vm}/stop-commands`]);
    await staff.context().close();
    const customer = await open(browser, {});
    await signIn(customer, demo.customer);
    await visit(customer, ['', 'activity', 'approvals', 'events', 'keys', `keys/${key.id}/revoke`, `keys/${key.id}/connected`, 'connect', 'people', 'account', `calls/${made}`, `vms/${vm}`, 'nowhere']);
    await customer.goto(`${base}/console/keys`);
    await customer.getByLabel('Name', { exact: true }).fill('phone');
    await customer.getByRole('button', { name: 'Create key' }).click();
    await look(customer, 'key created');
    seen.errors = seen.errors.filter((text) => !text.includes('404'));
    seen.said = [...visited].sort();
    await customer.context().close();
  },

  // Tasks that take at most three clicks, counted.
  async clicks(browser) {
    const key = await (await call('key_create', { label: 'stolen', scopes: ['vms:read'] }, demo.customer.api_key)).json();
    let clicks = 0;
    const click = async (place) => { clicks += 1; await place.click(); };
    const phone = await open(browser, { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true });
    await signIn(phone, demo.customer);
    await click(phone.getByRole('link', { name: 'Keys', exact: true }));
    await click(phone.getByRole('link', { name: 'Revoke key “stolen”' }));
    await click(phone.getByRole('button', { name: 'Revoke key' }));
    seen.said.push(await phone.locator('p.done').innerText(), String(clicks));
    seen.said.push((await (await call('vm_list', {}, key.api_key)).json()).error.code);
    await phone.context().close();

    const first = await open(browser, {});
    await signIn(first, demo.staff);
    await first.goto(`${base}/console/switches/new?target=all`);
    await first.getByLabel('Reason').fill('a drill');
    await first.getByRole('button', { name: /^Stop every call/ }).click();
    await first.getByLabel('Reason').fill('it is over');
    await first.getByLabel('Type all to confirm').fill('nothing');
    await first.getByRole('button', { name: 'Request release' }).click();
    seen.said.push(await first.locator('#fault-typed').innerText(), await first.getByLabel('Reason').inputValue());
    await first.getByLabel('Type all to confirm').fill('ALL');
    await first.getByRole('button', { name: 'Request release' }).click();
    seen.said.push(await first.locator('p.done').innerText(), String(await first.getByRole('button', { name: /elease/ }).count()));
    await first.context().close();
    const second = await open(browser, {});
    await signIn(second, demo.staff2);
    clicks = 0;
    await click(second.getByRole('link', { name: /^Open the switch/ }));
    await second.getByLabel('Reason').fill('agreed');
    await second.getByLabel('Type all to confirm').fill('all');
    await click(second.getByRole('button', { name: 'Confirm release' }));
    seen.said.push(await second.locator('p.done').innerText(), String(clicks));
    await second.context().close();
  },

  // The palette on any page, by keyboard alone, and rows of any list.
  async palette(browser) {
    const page = await open(browser, {});
    await signIn(page, demo.staff);
    await page.keyboard.press('/');
    await page.keyboard.type('swit');
    await judge(page, 'palette');
    await page.keyboard.press('Enter');
    await page.waitForURL(`${base}/console/switches`);
    await page.keyboard.press('Control+k');
    await page.keyboard.type('stop');
    await page.keyboard.press('ArrowDown');
    await page.keyboard.press('Enter');
    await page.waitForURL(/switches\/new/);
    seen.said.push(new URL(page.url()).searchParams.get('target'));
    await page.goto(`${base}/console/account`);
    await page.keyboard.press('Control+k');
    await page.keyboard.type('Example Ltd');
    await page.keyboard.press('ArrowDown');
    await page.keyboard.press('ArrowDown');
    await page.keyboard.press('Enter');
    await page.getByRole('heading', { name: 'Reason for access' }).waitFor();
    await page.locator('#reason').focus();
    await page.keyboard.type('a drill');
    await page.keyboard.press('Enter');
    await page.getByRole('heading', { name: 'Accounts' }).waitFor();
    await page.locator('h1').click();
    await page.keyboard.press('j');
    await page.keyboard.press('Enter');
    await page.waitForURL(/accounts\/acc_/);
    seen.said.push(await page.locator('h1').innerText());
    await page.keyboard.press('?');
    await judge(page, 'keys');
    await page.keyboard.press('Escape');
    await page.goto(`${base}/console/search`);
    await page.locator('#q').fill('');
    await page.locator('#q').pressSequentially('outcome:su');
    seen.said.push(await page.locator('#words option').first().getAttribute('value'));
    await page.locator('#q').fill('account:"Example Ltd" class:exec');
    await page.keyboard.press('Enter');
    await page.waitForURL(/acc_/);
    seen.said.push((await page.locator('#q').inputValue()).replace(/acc_\w+/, 'acc'));
    await page.context().close();
  },

  // By the button to a real provider and back, with a script and then without one.
  async issuer(browser) {
    for (const javaScriptEnabled of [true, false]) {
      const page = await open(browser, { javaScriptEnabled, colorScheme: javaScriptEnabled ? 'light' : 'dark' });
      const look = async (name) => javaScriptEnabled && (await judge(page, name), await measure(page, name));
      // What the provider's own pages load is theirs, and stays on this machine.
      await page.route((url) => url.hostname !== '127.0.0.1', (route) => route.abort());
      const aside = async (act) => {
        const before = [seen.elsewhere.length, seen.errors.length];
        await act();
        [seen.elsewhere.length, seen.errors.length] = before;
      };
      await page.goto(`${base}/console/keys`);
      await look('sign-in with an issuer');
      await aside(async () => {
        await page.getByRole('link', { name: 'Sign in with Example' }).click();
        await page.locator('[name=login]').fill('them-1');
        await page.locator('[name=password]').fill('anything');
        await page.getByRole('button', { name: 'Sign-in' }).click();
        await page.waitForURL(`${base}/console/keys`);
      });
      await page.goto(`${base}/console/account`);
      seen.said.push(await page.locator('dd', { hasText: demo.customer.email }).innerText());
      await look('account that is linked');
      if (javaScriptEnabled) {
        await page.getByLabel('Your password here').fill(demo.customer.password);
        await page.getByRole('button', { name: 'Unlink Example' }).click();
        await page.getByRole('button', { name: 'Link with Example' }).waitFor();
        await look('account that is not linked');
        await page.getByLabel('Your password here').fill(demo.customer.password);
        await page.getByRole('button', { name: 'Link with Example' }).click();
        await look('before linking');
        await aside(async () => {
          await page.getByRole('link', { name: 'Go on to Example' }).click();
          await page.waitForURL(`${base}/console/account`);
        });
        seen.said.push(await page.locator('dd', { hasText: demo.customer.email }).innerText());
      }
      await page.context().close();
    }
  },

  async first_call(browser) {
    const page = await open(browser, {});
    await signIn(page, demo.customer);
    await page.goto(`${base}/console/keys`);
    await page.getByLabel('Name', { exact: true }).fill('laptop');
    await page.getByRole('button', { name: 'Create key' }).click();
    const key = await page.getByLabel('Key', { exact: true }).inputValue();
    seen.said.push((await page.locator('#connected').innerText()).split('.')[0]);
    await call('vm_list', {}, key);
    await page.locator('#connected strong').waitFor();
    seen.said.push(await page.locator('#connected strong').innerText());
    seen.said.push(String((await page.getByLabel('Key', { exact: true }).inputValue()) === key));
    await page.context().close();
  },
};

const browser = await chromium.launch({ executablePath, args: ['--no-sandbox'] });
try {
  await scenarios[scenario](browser);
} finally {
  await browser.close();
}
console.log(JSON.stringify(seen));
