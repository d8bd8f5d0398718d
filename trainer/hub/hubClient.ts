/** The one module that talks to the Hugging Face hub. */

import { downloadFile, fileDownloadInfo, HubApiError, modelInfo, pathsInfo } from '@huggingface/hub';
import { HubError, refused, unreachable } from './hubError.ts';

/** A file as the hub describes it. */
export interface HubFile {
  /** Path inside the repository, one of those asked for. */
  path: string;
  bytes: number;
  /** Lower-case hex digits. */
  sha256: string;
}

export interface HubOptions {
  /** Address of the hub; HF_ENDPOINT, or the public one. */
  endpoint?: string | undefined;
  /** Token of a user; HF_TOKEN. */
  token?: string | undefined;
  signal?: AbortSignal;
}

const publicHub = 'https://huggingface.co';
/** Descriptions are small; more than this is not one. */
const descriptionLimit = 1 << 20;

/** Files of one repository. Every method throws HubError, or what the signal aborts with. */
export class HubRepository {
  readonly #repository: string;
  readonly #endpoint: string;
  readonly #token: string | undefined;
  readonly #signal: AbortSignal | undefined;

  constructor(repository: string, { endpoint, token, signal }: HubOptions = {}) {
    this.#repository = repository;
    this.#endpoint = checkedEndpoint(endpoint || process.env.HF_ENDPOINT || publicHub);
    this.#token = token || process.env.HF_TOKEN || undefined;
    this.#signal = signal;
    if (this.#token !== undefined && !this.#token.startsWith('hf_'))
      throw new HubError('refused', "HF_TOKEN holds no token of the hub: those begin with 'hf_'");
  }

  get address(): string {
    return `${this.#endpoint}/${this.#repository}`;
  }

  /** The first of these files that exists, with the checksum of its content. */
  async find(files: readonly string[]): Promise<HubFile> {
    const found = await this.#describing(fetch =>
      pathsInfo({ ...this.#common, repo: this.#model, paths: [...files], fetch }),
    );
    for (const wanted of files) {
      const entry = found.find(({ path, type }) => path === wanted && type === 'file');
      if (!entry) continue;
      const info = await this.#describing(fetch =>
        fileDownloadInfo({ ...this.#common, repo: this.#model, path: wanted, fetch }),
      );
      const sha256 = sha256Of(entry.lfs?.oid) ?? sha256Of(info?.etag);
      const bytes = entry.lfs?.size ?? entry.size;
      if (sha256 === null || !Number.isSafeInteger(bytes) || bytes <= 0 || info?.size !== bytes)
        throw new HubError(
          'refused',
          `${this.#repository}/${wanted}: the hub gives no checksum, or two sizes, for it`,
        );
      return { path: wanted, bytes, sha256 };
    }
    throw new HubError('refused', `${this.#repository} on the hub holds none of ${files.join(', ')}`);
  }

  /** The licence as its repository states it; null when it states none. */
  async licence(): Promise<string | null> {
    const { cardData } = await this.#describing(fetch =>
      modelInfo({ ...this.#common, name: this.#repository, additionalFields: ['cardData'], fetch }),
    );
    const licence: unknown = cardData?.license;
    const texts = (Array.isArray(licence) ? licence : [licence]).filter(text => typeof text === 'string');
    return texts.length === 0
      ? null
      : texts
          .join(', ')
          .replace(/\p{Cc}/gu, ' ')
          .slice(0, 200);
  }

  /**
   * The content from byte `start` on.
   *
   * @throws HubError also when the server does not go on from there.
   */
  async *read({ path, bytes, sha256 }: HubFile, start: number): AsyncGenerator<Uint8Array> {
    let problem: unknown = null;
    const watched: typeof fetch = async (input, init) => {
      try {
        const response = await this.#request(input, init);
        if (!response.ok) throw refused(this.#repository, response.status);
        if (start > 0 && !response.headers.get('content-range')?.startsWith(`bytes ${start}-`))
          throw new HubError('interrupted', `${this.address}: the server does not go on from byte ${start}`);
        return response;
      } catch (error) {
        // The stream would keep its message alone.
        problem = error;
        throw error;
      }
    };
    const url = `${this.#endpoint}/${this.#repository}/resolve/main/${path}`;
    const downloadInfo = { size: bytes, etag: sha256, url };
    try {
      const blob = await downloadFile({
        ...{ ...this.#common, repo: this.#model, path, downloadInfo, fetch: watched },
        // Plain ranges can be resumed; every file of the hub is served that way too.
        xet: false,
      });
      const stream = blob!.slice(start, bytes).stream() as AsyncIterable<Uint8Array> & ReadableStream;
      yield* stream;
    } catch (error) {
      this.#signal?.throwIfAborted();
      if (problem !== null) throw problem;
      throw new HubError('interrupted', `${this.address}: the connection broke off`, { cause: error });
    }
  }

  get #model(): { type: 'model'; name: string } {
    return { type: 'model', name: this.#repository };
  }

  get #common() {
    return { hubUrl: this.#endpoint, ...(this.#token === undefined ? {} : { accessToken: this.#token }) };
  }

  /** Runs a request for a description, whose answer is held in memory. */
  async #describing<T>(ask: (own: typeof fetch) => Promise<T>): Promise<T> {
    try {
      return await ask(async (input, init) => bounded(await this.#request(input, init)));
    } catch (error) {
      this.#signal?.throwIfAborted();
      if (error instanceof HubError) throw error;
      if (error instanceof HubApiError) throw refused(this.#repository, error.statusCode);
      throw new HubError('refused', `${this.address}: this is no answer of the hub`, { cause: error });
    }
  }

  async #request(...[input, init]: Parameters<typeof fetch>): Promise<Response> {
    try {
      return await fetch(input, { ...init, ...(this.#signal ? { signal: this.#signal } : {}) });
    } catch (error) {
      this.#signal?.throwIfAborted();
      throw unreachable(this.#endpoint, error);
    }
  }
}

function checkedEndpoint(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : null;
  if (url === null || !['http:', 'https:'].includes(url.protocol))
    throw new HubError('refused', `HF_ENDPOINT is no address of a server: '${text}'`);
  return text.replace(/\/+$/, '');
}

/** The SHA-256 that a large file's identifier or entity tag is; null where it is another hash. */
function sha256Of(text: string | undefined): string | null {
  return text?.match(/^(?:W\/)?"?([0-9a-f]{64})"?$/i)?.[1]?.toLowerCase() ?? null;
}

/** An answer with as much of its body as a description may have; what was asked of a file itself loses it. */
async function bounded(response: Response): Promise<Response> {
  const { status, headers, body } = response;
  const isDescription = headers.get('content-type')?.startsWith('application/json') ?? false;
  if (!isDescription) {
    await body?.cancel();
    return new Response(null, { status, headers });
  }
  const pieces: Uint8Array[] = [];
  let length = 0;
  for await (const piece of (body ?? []) as AsyncIterable<Uint8Array>) {
    length += piece.length;
    if (length > descriptionLimit)
      throw new HubError('refused', `the hub's answer is larger than ${descriptionLimit} bytes`);
    pieces.push(piece);
  }
  return new Response(Buffer.concat(pieces), { status, headers });
}
