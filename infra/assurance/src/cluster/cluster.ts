import { type ControlPlane } from './control-plane.ts';
import { type Programs } from './programs.ts';

export const NODES = ['node-1', 'node-2', 'node-3', 'node-4', 'node-5', 'node-6'];

/** What each event is given, and where it counts. */
export type Cluster = {
  plane: ControlPlane;
  programs: Programs;
  helm: string;
  folder: string;
  /** Counts one more thing that was tried; what it did not hold by is a failure. */
  must(holds: boolean, what: string): void;
};
