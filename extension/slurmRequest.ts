import { requestProblem, type SlurmRequest, slurmDefaults } from '../trainer/slurm/batchScript.ts';

export const slurmSettingNames = Object.keys(slurmDefaults) as (keyof SlurmRequest)[];

/** Full key of a Slurm setting in VS Code. */
export const slurmSettingKey = (name: keyof SlurmRequest): string => `clipself.slurm.${name}`;

/** Why a value of one setting cannot be used; null when it can. Empty texts leave it to the cluster. */
export function problemWithSlurmSetting(name: keyof SlurmRequest, value: unknown): string | null {
  const problem = requestProblem({ ...slurmDefaults, ...filled({ [name]: value }) });
  return problem === null ? null : problem.reason;
}

/**
 * What is asked of the cluster, from the settings or an argument.
 *
 * @throws Error naming the first setting that cannot be used.
 */
export function slurmRequestOf(values: Readonly<Record<string, unknown>>): SlurmRequest {
  for (const name of Object.keys(values))
    if (!(name in slurmDefaults))
      throw new Error(`“${name}” is not a Slurm setting. Known: ${slurmSettingNames.join(', ')}.`);
  const request: SlurmRequest = { ...slurmDefaults, ...filled(values) };
  for (const name of ['setup', 'sbatch'] as const)
    if (!Array.isArray(request[name]) || request[name].some(line => typeof line !== 'string'))
      throw new Error(`${slurmSettingKey(name)} takes a list of lines.`);
  const problem = requestProblem(request);
  if (problem !== null) throw new Error(`${slurmSettingKey(problem.name)} ${problem.reason}.`);
  return request;
}

/** What is set; whole numbers may come as text, from a question. */
function filled(values: Readonly<Record<string, unknown>>): Partial<SlurmRequest> {
  const entries = Object.entries(values).flatMap(([name, value]) => {
    const text = typeof value === 'string' ? value.trim() : value;
    if (text === undefined || text === null || text === '') return [];
    const standard = slurmDefaults[name as keyof SlurmRequest];
    const isNumber = typeof standard === 'number' || name === 'cpusPerTask' || name === 'gpusPerTask';
    return [[name, isNumber && typeof text === 'string' && /^\d+$/.test(text) ? Number(text) : text]];
  });
  return Object.fromEntries(entries) as Partial<SlurmRequest>;
}
