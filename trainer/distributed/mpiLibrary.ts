/** The few functions of MPI that training needs, called in whichever library is installed. */
import koffi from 'koffi';
import type { Launch, MpiKind } from './launcher.ts';

/** A library that cannot be used; the message says what to do. */
export class MpiError extends Error {
  override readonly name = 'MpiError';
}

/** Open MPI's handles are addresses of its symbols, MPICH's are numbers of its binary interface. */
type Handle = bigint | number;

interface Handles {
  world: Handle;
  float32: Handle;
  float64: Handle;
  byte: Handle;
  sum: Handle;
  /** C types of a handle, and of the pointers below. */
  type: 'void *' | 'int';
  inPlace: bigint;
  ignoredStatus: bigint;
}

export type MpiArray = Float32Array | Float64Array | Uint8Array;

type Native = (...parameters: unknown[]) => number;

/** Where libraries are looked for, by the names that the dynamic loader knows. */
const libraryNames: Readonly<Record<MpiKind, Readonly<Record<string, readonly string[]>>>> = {
  'Open MPI': {
    linux: ['libmpi.so.40', 'libmpi.so'],
    darwin: ['libmpi.40.dylib', '/opt/homebrew/opt/open-mpi/lib/libmpi.dylib', 'libmpi.dylib'],
  },
  MPICH: {
    linux: ['libmpich.so.12', 'libmpi.so.12', 'libmpich.so'],
    darwin: ['libmpi.12.dylib', '/opt/homebrew/opt/mpich/lib/libmpi.dylib', 'libmpich.dylib'],
  },
};

const override = 'CLIPSELF_MPI_LIBRARY';

type Library = ReturnType<typeof koffi.load>;

/** Threads of a process may be many, but one alone calls MPI. */
const threadsFunnelled = 1;

/**
 * MPI of this process. Every function is called from the thread that made it, which may not be left before `finalise`.
 * Errors inside the library end the job, as MPI does unless told otherwise.
 */
export class MpiLibrary {
  readonly rank: number;
  readonly size: number;
  /** As the library describes itself. */
  readonly version: string;
  readonly #library: Library;
  readonly #handles: Handles;
  readonly #iallreduce: Native;
  readonly #ibcast: Native;
  readonly #test: Native;
  readonly #request = new BigUint64Array(1);
  readonly #flag = new Int32Array(1);

  /** @throws MpiError when there is no library, or none whose handles are known. */
  static start(launch: Launch): MpiLibrary {
    const library = load(launch.kind);
    const mpi = new MpiLibrary(library);
    if (launch.size !== null && mpi.size !== launch.size) {
      mpi.finalise();
      throw new MpiError(
        `the launcher started ${launch.size} processes, but ${mpi.version} sees ${mpi.size}: launcher and library ` +
          `belong to different MPIs. Name the launcher's library in ${override}` +
          ' (under srun, choose what the library was built for: srun --mpi=list)',
      );
    }
    return mpi;
  }

  private constructor(library: Library) {
    this.#library = library;
    this.version = versionOf(library);
    this.#handles = handlesOf(library, this.version);
    const { type } = this.#handles;
    const pointer = 'void *';
    this.#iallreduce = this.#function('MPI_Iallreduce', [
      'intptr_t',
      pointer,
      'int',
      type,
      type,
      type,
      pointer,
    ]);
    this.#ibcast = this.#function('MPI_Ibcast', [pointer, 'int', type, 'int', type, pointer]);
    this.#test = this.#function('MPI_Test', [pointer, pointer, 'intptr_t']);
    const provided = new Int32Array(1);
    this.#function('MPI_Init_thread', [pointer, pointer, 'int', pointer])(
      null,
      null,
      threadsFunnelled,
      provided,
    );
    this.rank = this.#number('MPI_Comm_rank');
    this.size = this.#number('MPI_Comm_size');
  }

  /** Starts adding up the first `count` numbers over all ranks, in place; keep the array until `test` says true. */
  startSum(array: MpiArray, count: number): void {
    const { world, sum, inPlace } = this.#handles;
    this.#iallreduce(inPlace, array, count, this.#typeOf(array), sum, world, this.#request);
  }

  /** Starts giving the array of rank `root` to all. */
  startBroadcast(array: MpiArray, root: number): void {
    this.#ibcast(array, array.length, this.#typeOf(array), root, this.#handles.world, this.#request);
  }

  /** Moves what was started along; true when it is complete. */
  test(): boolean {
    this.#test(this.#request, this.#flag, this.#handles.ignoredStatus);
    return this.#flag[0] !== 0;
  }

  /** Ends every process of the job; does not return. */
  abort(): void {
    this.#function('MPI_Abort', [this.#handles.type, 'int'])(this.#handles.world, 1);
  }

  /** Waits for the other ranks. Nothing may be called after it. */
  finalise(): void {
    this.#function('MPI_Finalize', [])();
  }

  #number(name: string): number {
    const value = new Int32Array(1);
    this.#function(name, [this.#handles.type, 'void *'])(this.#handles.world, value);
    return value[0]!;
  }

  #typeOf(array: MpiArray): Handle {
    if (array instanceof Float32Array) return this.#handles.float32;
    return array instanceof Float64Array ? this.#handles.float64 : this.#handles.byte;
  }

  #function(name: string, parameters: string[]): Native {
    return this.#library.func(name, 'int', parameters) as Native;
  }
}

function load(kind: MpiKind | null): Library {
  const named = process.env[override];
  const kinds: MpiKind[] = kind ? [kind] : ['Open MPI', 'MPICH'];
  const names = named ? [named] : kinds.flatMap(each => libraryNames[each][process.platform] ?? []);
  const reasons: string[] = [];
  for (const name of names)
    try {
      // Open MPI's own modules look for the symbols of the library that loads them.
      return koffi.load(name, { global: true });
    } catch (error) {
      reasons.push(error instanceof Error ? error.message : String(error));
    }
  const tried =
    names.length > 0
      ? `tried ${names.join(', ')}: ${reasons.at(-1)}`
      : `none is known on ${process.platform}`;
  throw new MpiError(
    `no ${kind ?? 'MPI'} library was found (${tried}). Install one (Debian: openmpi-bin or mpich), or name its file in ${override}`,
  );
}

/** May be asked for before anything else. */
function versionOf(library: Library): string {
  const text = new Uint8Array(8192);
  const length = new Int32Array(1);
  try {
    (library.func('MPI_Get_library_version', 'int', ['void *', 'void *']) as Native)(text, length);
  } catch {
    throw new MpiError(`the library in ${override} is no MPI 3 library: it has no MPI_Get_library_version`);
  }
  return new TextDecoder()
    .decode(text.subarray(0, text.indexOf(0)))
    .split('\n')[0]!
    .split(',')[0]!
    .replace(/\s+/g, ' ')
    .trim();
}

function handlesOf(library: Library, version: string): Handles {
  if (/^Open MPI/i.test(version)) {
    const address = (name: string): bigint => koffi.address(library.symbol(name));
    return {
      world: address('ompi_mpi_comm_world'),
      float32: address('ompi_mpi_float'),
      float64: address('ompi_mpi_double'),
      byte: address('ompi_mpi_byte'),
      sum: address('ompi_mpi_op_sum'),
      type: 'void *',
      inPlace: 1n,
      ignoredStatus: 0n,
    };
  }
  // The common binary interface of MPICH 3.1 and later, and of what is built on it.
  if (/MPICH|MVAPICH|Intel\(R\) MPI|CRAY MPICH/i.test(version))
    return {
      world: 0x44000000,
      float32: 0x4c00040a,
      float64: 0x4c00080b,
      byte: 0x4c00010d,
      sum: 0x58000003,
      type: 'int',
      inPlace: -1n,
      ignoredStatus: 1n,
    };
  throw new MpiError(
    `the MPI library calls itself '${version}', whose handles are not known: Open MPI and MPICH are. Name another in ${override}`,
  );
}
