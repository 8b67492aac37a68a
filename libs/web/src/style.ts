/** The one style of all pages: what the browser has, in two colour schemes, readable at any width. */
export const style = `
:root { color-scheme: light dark; --ink: #1c2430; --soft: #566072; --line: #d5dae3; --paper: #ffffff; --back: #f3f5f9;
  --accent: #1f4fbf; --on-accent: #ffffff; --good: #17633a; --bad: #a3212b; --warn: #7a4b00; --warn-back: #fff4dc; }
@media (prefers-color-scheme: dark) { :root { --ink: #e7ebf2; --soft: #a6b0c2; --line: #3a4252; --paper: #1b212b;
  --back: #12161d; --accent: #8fb4ff; --on-accent: #0c1424; --good: #7bd6a0; --bad: #ff9aa2; --warn: #ffd58a; --warn-back: #3a2d12; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--back); color: var(--ink); font: 1rem/1.5 system-ui, "Liberation Sans", sans-serif; }
a { color: var(--accent); }
.top { background: var(--paper); border-bottom: 1px solid var(--line); }
.top > div { max-width: 60rem; margin: 0 auto; padding: .75rem 1.25rem; display: flex; flex-wrap: wrap; gap: .5rem 1rem;
  align-items: center; justify-content: space-between; }
.brand { font-weight: 700; color: var(--ink); text-decoration: none; }
.who { display: flex; gap: .75rem; align-items: center; color: var(--soft); overflow-wrap: anywhere; }
main { max-width: 60rem; margin: 0 auto; padding: 1.5rem 1.25rem 4rem; }
h1 { font-size: 1.6rem; line-height: 1.25; margin: .25rem 0 1rem; }
h2 { font-size: 1.15rem; margin: 0 0 .75rem; }
p { margin: 0 0 1rem; }
.card { background: var(--paper); border: 1px solid var(--line); border-radius: .6rem; padding: 1.25rem; margin: 0 0 1.25rem; }
.quiet { color: var(--soft); }
dl { display: grid; grid-template-columns: minmax(8rem, 12rem) 1fr; gap: .6rem 1rem; margin: 0; }
dt { color: var(--soft); }
dd { margin: 0; overflow-wrap: anywhere; }
@media (max-width: 34rem) { dl { grid-template-columns: 1fr; gap: .1rem; } dd { margin-bottom: .7rem; } }
ul.plain { list-style: none; margin: 0; padding: 0; }
blockquote { margin: 0 0 .35rem; padding: .25rem 0 .25rem .9rem; border-left: .25rem solid var(--line); white-space: pre-wrap; overflow-wrap: anywhere; }
code, .name { font-family: ui-monospace, "Liberation Mono", monospace; font-size: .95em; overflow-wrap: anywhere; }
.tag { display: inline-block; border: 1px solid currentColor; border-radius: 1rem; padding: 0 .6rem; font-size: .85rem; white-space: nowrap; }
.low { color: var(--good); } .medium { color: var(--warn); } .high, .critical { color: var(--bad); }
.note { background: var(--warn-back); color: var(--ink); border: 1px solid var(--line); border-radius: .6rem; padding: .9rem 1.1rem; margin: 0 0 1.25rem; }
.note > :last-child { margin-bottom: 0; }
fieldset { border: 0; margin: 0 0 1rem; padding: 0; }
legend { padding: 0; font-weight: 600; margin-bottom: .4rem; }
label.choice { display: flex; gap: .7rem; align-items: flex-start; padding: .55rem 0; border-top: 1px solid var(--line); }
label.choice input { width: 1.25rem; height: 1.25rem; margin: .15rem 0 0; flex: none; accent-color: var(--accent); }
label.field { display: block; font-weight: 600; margin-bottom: .35rem; }
textarea { width: 100%; min-height: 4.5rem; font: inherit; color: inherit; background: var(--paper); border: 1px solid var(--soft); border-radius: .4rem; padding: .5rem .6rem; }
.actions { display: flex; flex-wrap: wrap; gap: .75rem; margin-top: 1rem; }
button, .button { display: inline-block; font: inherit; font-weight: 600; border-radius: .4rem; border: 1px solid var(--accent); padding: .55rem 1.1rem; min-height: 2.75rem;
  background: var(--accent); color: var(--on-accent); cursor: pointer; text-decoration: none; }
button.second { background: transparent; color: var(--accent); }
button.refuse { background: transparent; color: var(--bad); border-color: var(--bad); }
button { white-space: nowrap; }
button.small { min-height: 2rem; padding: .2rem .7rem; font-weight: 400; }
@media (max-width: 39.99rem) { .actions > *, main p > .button { flex: 1 1 100%; min-width: 0; text-align: center; white-space: normal; } main p > .button { display: block; } }
:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; }
a.item blockquote { margin-bottom: 1rem; }
a.item > :last-child { margin-bottom: 0; }
a.item { display: block; color: inherit; text-decoration: none; }
a.item:hover h2 { text-decoration: underline; }
a.item h2 { color: var(--accent); }
.row { display: flex; flex-wrap: wrap; gap: .35rem .75rem; align-items: baseline; }
`;
