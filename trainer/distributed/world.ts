/** The processes that train or evaluate together, as one of them sees them. */
export interface World {
  /** From 0; rank 0 leads: it writes the run directory. */
  readonly rank: number;
  readonly size: number;
  /** For the log. */
  readonly description: string;
  /**
   * Adds up the arrays of all ranks, place by place; takes over the array, which must be all of its buffer. Every rank has
   * to call this, and `broadcast`, in the same order with the same lengths.
   *
   * @param count Only the first so many numbers count.
   */
  sum<Numbers extends Float32Array | Float64Array>(array: Numbers, count?: number): Promise<Numbers>;
  /** The array of rank `root`, on every rank; takes over the array. */
  broadcast(array: Uint8Array, root: number): Promise<Uint8Array>;
  /** Seconds in which sums and broadcasts were under way. */
  readonly busySeconds: number;
}

/** A process on its own. */
export const soloWorld: World = {
  rank: 0,
  size: 1,
  description: 'one process',
  sum: async array => array,
  broadcast: async array => array,
  busySeconds: 0,
};

export const leads = ({ rank }: World): boolean => rank === 0;

/** Whether `flag` is true on any rank; on every rank the same answer. */
export async function anyRank(world: World, flag: boolean): Promise<boolean> {
  if (world.size === 1) return flag;
  return (await world.sum(Float64Array.of(flag ? 1 : 0)))[0]! > 0;
}

/** The numbers of all ranks, in their order. */
export async function gatherNumbers(world: World, value: number): Promise<number[]> {
  const numbers = new Float64Array(world.size);
  numbers[world.rank] = value;
  return [...(await world.sum(numbers))];
}

/** Values that JSON can hold, of all ranks, in their order. */
export async function gatherValues<Value>(world: World, value: Value): Promise<Value[]> {
  if (world.size === 1) return [value];
  const own = new TextEncoder().encode(JSON.stringify(value));
  const lengths = await gatherNumbers(world, own.length);
  const values: Value[] = [];
  for (const [rank, length] of lengths.entries()) {
    const bytes = new Uint8Array(length);
    if (rank === world.rank) bytes.set(own);
    const text = new TextDecoder().decode(await world.broadcast(bytes, rank));
    values.push(rank === world.rank ? value : (JSON.parse(text) as Value));
  }
  return values;
}

/** What the leading rank knows, which JSON can hold, on every rank. */
export async function shareValue<Value>(world: World, value: Value): Promise<Value> {
  if (world.size === 1) return value;
  const text = leads(world) ? JSON.stringify(value) : '';
  return JSON.parse(new TextDecoder().decode(await shareBytes(world, new TextEncoder().encode(text))));
}

/** The bytes that the leading rank has, on every rank; those of the others do not count. */
export async function shareBytes(world: World, own: Uint8Array): Promise<Uint8Array> {
  if (world.size === 1) return own;
  const [length] = await gatherNumbers(world, leads(world) ? own.length : 0);
  const bytes = new Uint8Array(length!);
  if (leads(world)) bytes.set(own);
  return world.broadcast(bytes, 0);
}

/** A failure that every rank knows of, so that the job can end in order. */
export class AgreedFailure extends Error {
  /** What happened here; undefined where it happened on another rank, which tells the user. */
  override readonly cause: unknown;

  constructor(rank: number, cause: unknown) {
    super(`rank ${rank} failed`);
    this.name = 'AgreedFailure';
    this.cause = cause;
  }
}

/**
 * Work that all ranks do and that may fail on some or all of them, such as reading files: no rank goes on alone.
 *
 * @throws AgreedFailure on every rank, with the cause on the first that failed; on a process of its own the cause itself.
 */
export async function agreeing<Result>(world: World, work: () => Promise<Result>): Promise<Result> {
  if (world.size === 1) return work();
  let outcome: { result: Result } | { cause: unknown };
  try {
    outcome = { result: await work() };
  } catch (cause) {
    outcome = { cause };
  }
  const failures = await gatherNumbers(world, 'result' in outcome ? 0 : 1);
  if ('result' in outcome && !failures.includes(1)) return outcome.result;
  const first = failures.indexOf(1);
  throw new AgreedFailure(first, first === world.rank && 'cause' in outcome ? outcome.cause : undefined);
}
