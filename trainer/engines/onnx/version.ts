import { env } from 'onnxruntime-node';

/** Version of the installed onnxruntime-node package. */
export const onnxRuntimeVersion: string = env.versions.node ?? env.versions.common;
