import { expect, test } from '@jest/globals';
import { html } from './html.ts';

test.each(['<script>alert(1)</script>', '"><img src=x onerror=alert(1)>', "' onfocus='alert(1)", '&lt;b&gt;'])(
  'a value is text in an element and in an attribute: %s',
  (value) => {
    const { markup } = html`<p title="${value}">${value}</p>`;
    // The signs of the template itself, and no other.
    expect(markup.replaceAll(/[^<>"']/g, '')).toBe('<"">' + '<>');
  },
);

test('markup inside markup stays, lists are joined, and nothing is nothing', () => {
  const items = ['a', '<b>'].map((name) => html`<li>${name}</li>`);
  const { markup } = html`<p>${items}${null}${false}${undefined}${0}</p>`;
  expect(markup).toBe('<p><li>a</li><li>&lt;b&gt;</li>0</p>');
});
