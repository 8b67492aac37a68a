export { cases } from './cases.ts';
export { assess, isScale, scales, type Case, type Findings, type Row, type Scale } from './assess.ts';
