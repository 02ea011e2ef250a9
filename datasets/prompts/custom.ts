// A template written in the experiment file: one Jinja text for each part of a prompt.

import { DataError } from '../error.ts';
import { isObject, type SourceRow, type Value } from '../row.ts';
import { asText, type Draft, type DraftChoice, type Unusable } from './draft.ts';
import { compileTemplate, type CompiledTemplate } from './jinja.ts';

export interface CustomTemplate {
  readonly prompt: string;
  readonly completion?: string | undefined;
  /**
   * Templates by label; a list of templates (labelled A, B, ...); or one template that gives a JSON object or list
   * (`{{ options | tojson }}`).
   */
  readonly choices?: Readonly<Record<string, string>> | readonly string[] | string | undefined;
  /** A label of `choices` (or, where none has that label, the words of one of them), or a text. */
  readonly answer?: string | undefined;
  readonly references?: readonly string[] | string | undefined;
  readonly group?: Readonly<Record<string, string>> | undefined;
}

const label = (index: number): string => String.fromCharCode(65 + index);

const jsonChoices = (text: string): DraftChoice[] => {
  let value: Value;
  try {
    value = JSON.parse(text) as Value;
  } catch {
    throw new DataError(
      'E563',
      'template choices gives no JSON',
      'One template for all choices must end in `| tojson`; or write a list of templates.',
    );
  }
  if (Array.isArray(value)) {
    const list = value as readonly Value[];
    return list.map((option, index) => ({ label: label(index), text: asText(option) }));
  }
  if (!isObject(value)) throw new DataError('E563', 'template choices gives no list or mapping');
  return Object.entries(value).map(([name, option]) => ({ label: name, text: asText(option) }));
};

const choicesMaker = (
  choices: CustomTemplate['choices'],
  columns: readonly string[],
): ((row: SourceRow) => DraftChoice[]) | null => {
  if (choices === undefined) return null;
  if (typeof choices === 'string') {
    const template = compileTemplate(choices, 'choices', columns);
    return (row) => jsonChoices(template.render(row));
  }
  const entries = Array.isArray(choices)
    ? (choices as readonly string[]).map((text, index) => [label(index), text] as const)
    : Object.entries(choices as Readonly<Record<string, string>>);
  const compiled = entries.map(
    ([name, text]) => [name, compileTemplate(text, `choices.${name}`, columns)] as const,
  );
  return (row) => compiled.map(([name, template]) => ({ label: name, text: template.render(row) }));
};

/** Compiles all parts at once, so that a mistake is found before the first row. */
export const customTemplate = (
  template: CustomTemplate,
  columns: readonly string[],
): ((row: SourceRow) => Draft | Unusable) => {
  const optional = (text: string | undefined, what: string): CompiledTemplate | null =>
    text === undefined ? null : compileTemplate(text, what, columns);
  const prompt = compileTemplate(template.prompt, 'prompt', columns);
  const completion = optional(template.completion, 'completion');
  const answer = optional(template.answer, 'answer');
  const choices = choicesMaker(template.choices, columns);
  const references = [template.references ?? []]
    .flat()
    .map((text) => compileTemplate(text, 'references', columns));
  const group = Object.entries(template.group ?? {}).map(
    ([name, text]) => [name, compileTemplate(text, `group.${name}`, columns)] as const,
  );
  return (row) => {
    const body = prompt.render(row);
    const target = completion?.render(row) ?? null;
    const made = choices?.(row) ?? null;
    const given = answer?.render(row).trim() ?? null;
    const answered =
      made === null || given === null || made.some(({ label: name }) => name === given)
        ? given
        : (made.find(({ text }) => text.trim() === given)?.label ?? undefined);
    if (answered === undefined) return { unusable: 'answer is none of the choices' };
    const right = made?.find(({ label: name }) => name === answered)?.text ?? target;
    const texts =
      references.length > 0
        ? references.map((reference) => reference.render(row))
        : right === null
          ? []
          : [right.trim()];
    return {
      description: '',
      body,
      turns: [{ role: 'user', content: body }],
      delimiter: '',
      target,
      choices: made,
      answer: answered,
      references: texts,
      group: Object.fromEntries(group.map(([name, text]) => [name, text.render(row)])),
    };
  };
};
