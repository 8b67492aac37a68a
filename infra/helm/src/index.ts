export { helmProgram, render, type KubernetesObject } from './helm.ts';
export { matrix, policyUnder, refused } from './matrix.ts';
export { place } from './place.ts';
