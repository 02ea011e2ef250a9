// What a worker is told: made from the planned step and the verified contents of its inputs.

import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import type { StepInstance } from './experiment.ts';
import type { StepKey } from './key.ts';
import type { ArtifactDigest } from './manifest.ts';
import type { Plan } from './plan.ts';
import type { SpecInput, StepSpec } from './protocol.ts';

/** Digest of an input, by port and position. */
export type InputDigest = (port: string, index: number) => ArtifactDigest | null;

const specInput = (
  plan: Plan,
  instance: StepInstance,
  port: string,
  index: number,
  digest: ArtifactDigest,
): SpecInput => {
  const { objects } = plan.services.project;
  const edge = instance.inputs[port]?.[index];
  const manifest = objects.manifest(digest);
  if (edge === undefined || manifest === null)
    throw new Error(`no artifact for ${instance.name}.${port}`);
  const declared = instance.definition.inputs[port]?.kind;
  const kind =
    edge.kind === 'step' ? edge.artifact : typeof declared === 'string' ? declared : declared?.[0];
  if (kind === undefined) throw new Error(`step type ${instance.uses} has no input ${port}`);
  const files = manifest.files.map((file) => {
    const path = objects.locate(file.digest);
    if (path === null) throw new Error(`${file.name} of ${instance.name}.${port} was not verified`);
    return { name: file.name, path, digest: file.digest };
  });
  return { port, kind, digest, label: edge.label, files };
};

/** How many cores a step may use: what it asks for, else all for a step that loads a model and one for a light step. */
export const coresOf = (instance: StepInstance): number =>
  instance.resources.cpu ?? (instance.definition.weight === 'model' ? availableParallelism() : 1);

export const makeSpec = (
  plan: Plan,
  instance: StepInstance,
  key: StepKey,
  digestOf: InputDigest,
  attempt: string,
): StepSpec => {
  const { project } = plan.services;
  const inputs: SpecInput[] = [];
  for (const [port, edges] of Object.entries(instance.inputs)) {
    for (const index of edges.keys()) {
      const digest = digestOf(port, index);
      if (digest === null) throw new Error(`input ${port} of ${instance.name} isn't known`);
      inputs.push(specInput(plan, instance, port, index, digest));
    }
  }
  return {
    schemaVersion: 1,
    attempt,
    step: instance.name,
    uses: instance.uses,
    plugin: instance.plugin,
    params: instance.params,
    seed: instance.seed,
    threads: Math.max(1, Math.min(availableParallelism(), Math.floor(coresOf(instance)))),
    inputs,
    hub: plan.paths.hub(instance.definition, instance.params),
    outputs: instance.outputs,
    folder: join(project.attemptsDir, attempt),
    checkpoint: join(project.checkpointsDir, key),
    derived: project.derivedDir,
    known: plan.paths.files(instance.definition, instance.params),
  };
};
