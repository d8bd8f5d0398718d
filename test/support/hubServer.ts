/** A server on this machine that plays the Hugging Face hub: descriptions of files, their content, and what goes wrong. */

import { createHash } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { knownArchitectures } from '../../trainer/checkpoints/knownArchitectures.ts';
import { visionTensorShapes } from '../../trainer/models/architecture.ts';

export interface HubServer {
  /** For HF_ENDPOINT. */
  address: string;
  /** `METHOD path` and range of every request. */
  requests: string[];
  /** Authorization of the latest request. */
  authorization: string | undefined;
  /** Content by `owner/name/path`. */
  files: Map<string, Uint8Array>;
  /** What goes wrong; changed between requests. */
  trouble: {
    /** Cuts the connection after this many bytes of a file's content, as often as there are entries. */
    cuts: number[];
    /** Content sent in place of the announced one. */
    exchanged?: Uint8Array;
    /** Answers everything with this status. */
    status?: number;
    /** Sends the whole content whatever range was asked for. */
    ignoresRange?: boolean;
    /** Milliseconds between pieces of 64 KiB. */
    slow?: number;
    /** Path given in the description in place of the right one. */
    path?: string;
    /** Describes files as the hub did before it kept checksums. */
    withoutChecksum?: boolean;
    /** Bytes of a description, to see whether it is bounded. */
    hugeDescription?: number;
  };
  close(): Promise<void>;
}

const piece = 1 << 16;

export async function startHubServer(): Promise<HubServer> {
  const files = new Map<string, Uint8Array>();
  const hub = { requests: [] as string[], files, trouble: { cuts: [] } } as unknown as HubServer;
  const server: Server = createServer((request, response) => {
    void answer(hub, request, response).catch(() => response.destroy());
  });
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
  hub.address = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  hub.close = () =>
    new Promise(resolve => {
      server.closeAllConnections();
      server.close(() => resolve());
    });
  return hub;
}

async function answer(hub: HubServer, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const { method, url = '', headers } = request;
  hub.requests.push([method, url.split('?')[0], headers.range].filter(Boolean).join(' '));
  hub.authorization = headers.authorization;
  const json = (status: number, content: unknown): void => {
    response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(content));
  };
  if (hub.trouble.status !== undefined) return json(hub.trouble.status, { error: 'No.' });
  if (hub.trouble.hugeDescription !== undefined && !url.includes('/resolve/'))
    return json(200, { padding: 'x'.repeat(hub.trouble.hugeDescription) });
  const description = url.match(/^\/api\/models\/([^/]+\/[^/]+)\/paths-info\/main$/);
  if (description && method === 'POST') {
    const { paths } = JSON.parse(await bodyOf(request)) as { paths: string[] };
    return json(
      200,
      paths.flatMap(path => describe(hub, description[1]!, path)),
    );
  }
  if (/^\/api\/models\/[^/]+\/[^/]+\/revision\/HEAD\?/.test(url)) {
    const dates = { lastModified: '2024-01-01T00:00:00.000Z' };
    return json(200, { _id: '1', id: 'x/y', ...dates, cardData: { license: 'apache-2.0' } });
  }
  const content = url.match(/^\/([^/]+\/[^/]+)\/resolve\/main\/(.+)$/);
  const found = content ? hub.files.get(`${content[1]}/${content[2]}`) : undefined;
  if (!found) {
    response.setHeader('X-Error-Code', 'EntryNotFound');
    return json(404, { error: 'Entry not found' });
  }
  await send(hub, found, headers.range, response);
}

function describe({ files, trouble }: HubServer, repository: string, path: string): unknown[] {
  const found = files.get(`${repository}/${path}`);
  if (!found) return [];
  const size = found.length;
  const lfs = trouble.withoutChecksum ? {} : { lfs: { oid: sha256(found), size, pointerSize: 130 } };
  return [{ type: 'file', path: trouble.path ?? path, oid: '0'.repeat(40), size, ...lfs }];
}

async function send(
  { trouble }: HubServer,
  announced: Uint8Array,
  range: string | undefined,
  response: ServerResponse,
): Promise<void> {
  const [, first, last] = (trouble.ignoresRange ? undefined : range)?.match(/^bytes=(\d+)-(\d+)$/) ?? [];
  const start = Number(first ?? 0);
  const end = last === undefined ? announced.length : Number(last) + 1;
  const bytes = (trouble.exchanged ?? announced).subarray(start, end);
  response.writeHead(first === undefined ? 200 : 206, {
    'content-type': 'application/octet-stream',
    'content-length': bytes.length,
    // The hub's own tag of a file that is stored elsewhere is no SHA-256 of its content.
    etag: '"0123456789abcdef0123456789abcdef"',
    ...(first === undefined
      ? {}
      : { 'content-range': `bytes ${start}-${start + bytes.length - 1}/${announced.length}` }),
  });
  const cut = end - start > 1 ? trouble.cuts.shift() : undefined;
  for (let at = 0; at < bytes.length; at += piece) {
    if (cut !== undefined && at + piece > cut) {
      await write(response, bytes.subarray(at, cut));
      // What was written must be on its way before the connection is cut.
      setTimeout(() => response.destroy(), 50);
      return;
    }
    await write(response, bytes.subarray(at, at + piece));
    if (trouble.slow) await new Promise(resolve => setTimeout(resolve, trouble.slow));
    if (response.destroyed) return;
  }
  response.end();
}

const write = (response: ServerResponse, bytes: Uint8Array): Promise<void> =>
  new Promise(resolve => {
    if (response.write(bytes)) {
      resolve();
      return;
    }
    const goOn = (): void => {
      for (const event of ['drain', 'close']) response.off(event, goOn);
      resolve();
    };
    for (const event of ['drain', 'close']) response.on(event, goOn);
  });

async function bodyOf(request: IncomingMessage): Promise<string> {
  const pieces: Buffer[] = [];
  for await (const part of request) pieces.push(part as Buffer);
  return Buffer.concat(pieces).toString();
}

export const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

/** Weights of the smallest published image tower, all zeros. */
export function hollowWeights(): Uint8Array {
  const header: Record<string, unknown> = {};
  let begin = 0;
  for (const [tensor, shape] of visionTensorShapes(knownArchitectures.get('RN50-quickgelu')!)) {
    const end = begin + 2 * shape.reduce((product, dimension) => product * dimension, 1);
    header[tensor] = { dtype: 'F16', shape, data_offsets: [begin, end] };
    begin = end;
  }
  const json = Buffer.from(JSON.stringify(header));
  const bytes = Buffer.alloc(8 + json.length + begin);
  bytes.writeBigUInt64LE(BigInt(json.length));
  bytes.set(json, 8);
  return bytes;
}
