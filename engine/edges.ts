// What an input may say: `step`, `step.output`, `step[*]`, `step[r=8].output`, `run:k7q2/step.output`. Syntax only.

export type Selector =
  | { readonly kind: 'all' }
  | { readonly kind: 'axes'; readonly axes: readonly (readonly [string, string])[] };

export type EdgeText =
  | {
      readonly kind: 'step';
      readonly id: string;
      readonly output: string | null;
      readonly selector: Selector | null;
    }
  | {
      readonly kind: 'run';
      readonly run: string;
      readonly step: string;
      readonly output: string | null;
    };

const step =
  /^(?<id>[A-Za-z0-9_-]+)(?:\[(?<first>[^[\]]*)\])?(?:\.(?<output>[A-Za-z0-9_-]+))?(?:\[(?<second>[^[\]]*)\])?$/u;
const run =
  /^run:(?<run>[A-Za-z0-9_.-]+)\/(?<step>[A-Za-z0-9_-]+(?:\[[^[\]]*\]|@[^.\s]*)?)(?:\.(?<output>[A-Za-z0-9_-]+))?$/u;

const parseSelector = (text: string): Selector | null => {
  if (text.trim() === '*') return { kind: 'all' };
  const axes = text.split(',').map((part) => {
    const at = part.indexOf('=');
    return [part.slice(0, Math.max(at, 0)).trim(), part.slice(at + 1).trim()] as const;
  });
  return axes.some(([axis, value]) => axis === '' || value === '') ? null : { kind: 'axes', axes };
};

/** Null where the text is none of the forms. */
export const parseEdge = (text: string): EdgeText | null => {
  const ofRun = run.exec(text)?.groups;
  if (ofRun !== undefined) {
    const at = /^([^@]+)@(.*)$/u.exec(ofRun['step'] ?? '');
    const name = at === null ? (ofRun['step'] ?? '') : `${at[1] ?? ''}[${at[2] ?? ''}]`;
    return { kind: 'run', run: ofRun['run'] ?? '', step: name, output: ofRun['output'] ?? null };
  }
  const parts = step.exec(text)?.groups;
  if (parts === undefined) return null;
  const written = parts['first'] ?? parts['second'];
  if (parts['first'] !== undefined && parts['second'] !== undefined) return null;
  const selector = written === undefined ? null : parseSelector(written);
  if (written !== undefined && selector === null) return null;
  return { kind: 'step', id: parts['id'] ?? '', output: parts['output'] ?? null, selector };
};

/** `adapter@r=8,train_on=all` and `adapter[r=8,train_on=all]`, as the command line takes them. */
export const parseInstance = (
  text: string,
): { readonly id: string; readonly axes: readonly (readonly [string, string])[] } | null => {
  const edge = parseEdge(text.replace(/^([^@[\]]+)@(.+)$/u, '$1[$2]'));
  if (edge?.kind !== 'step' || edge.output !== null) return null;
  if (edge.selector === null || edge.selector.kind === 'all') return { id: edge.id, axes: [] };
  return { id: edge.id, axes: edge.selector.axes };
};
