/** Which libraries of TensorFlow: those that compute on the processor, or with CUDA on NVIDIA cards. */
export const libraryKinds = ['cpu', 'cuda'] as const;

export type LibraryKind = (typeof libraryKinds)[number];

/** Bytes that an installation fetches and takes, as measured with TensorFlow 2.21 and the wheels of NVIDIA of that time. */
export const setupSizes: Readonly<
  Record<LibraryKind, { download: number; disk: number; whileInstalling: number }>
> = {
  cpu: { download: 0.35e9, disk: 1.3e9, whileInstalling: 2e9 },
  cuda: { download: 3.4e9, disk: 6e9, whileInstalling: 10e9 },
};

/** `3.40 GB` */
export const gigabytes = (bytes: number): string => `${(bytes / 1e9).toFixed(2)} GB`;
