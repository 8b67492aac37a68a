import { documentJsonSchema } from './schema.ts';
import { type Path } from './toml.ts';

/** A node of the JSON Schema, with what our schemas add. */
type Node = {
  type?: string;
  enum?: unknown[];
  const?: unknown;
  properties?: Record<string, Node>;
  additionalProperties?: Node | boolean;
  items?: Node;
  minimum?: number;
  maximum?: number;
  minItems?: number;
  maxItems?: number;
  allowed?: string;
  control?: string;
};

const schema = documentJsonSchema() as Node;

const child = (node: Node | undefined, step: string | number): Node | undefined => {
  if (typeof step === 'number') return node?.items;
  const own = node?.properties && Object.hasOwn(node.properties, step) ? node.properties[step] : undefined;
  return own ?? (typeof node?.additionalProperties === 'object' ? node.additionalProperties : undefined);
};

const nodeAt = (path: Path): Node | undefined => path.reduce<Node | undefined>(child, schema);

/** What may stand at a key, in words. */
export function allowedAt(path: Path): string | undefined {
  const node = nodeAt(path);
  if (!node) return undefined;
  if (node.allowed) return node.allowed;
  if (node.enum) return node.enum.length > 16 ? `${node.enum.length} names, see the JSON Schema` : node.enum.join(', ');
  if (node.type === 'integer') return `a whole number from ${node.minimum} to ${node.maximum}`;
  if (node.type === 'boolean') return 'true, false';
  if (node.type === 'array') {
    const most = node.maxItems === undefined ? '' : ` of at most ${node.maxItems}`;
    const each = allowedAt([...path, 0]);
    return `a list${most}${node.minItems ? ', not empty' : ''}${each ? `, each: ${each}` : ''}`;
  }
  if (node.properties) return `the keys ${Object.keys(node.properties).join(', ')}`;
  return node.type === 'object' ? 'a table' : undefined;
}

/** The control of a key, or of the nearest table above it. */
export function controlAt(path: Path): string | undefined {
  for (let length = path.length; length > 0; length -= 1) {
    const control = nodeAt(path.slice(0, length))?.control;
    if (control) return control;
  }
  return undefined;
}
