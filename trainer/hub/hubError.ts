/** Why something could not be fetched, in one sentence with what to do about it. */
export class HubError extends Error {
  override readonly name = 'HubError';
  /** `offline`: no answer at all; `interrupted`: the answer broke off, trying again goes on; `refused`: the hub said no. */
  readonly kind: 'offline' | 'interrupted' | 'refused';

  constructor(kind: HubError['kind'], message: string, options?: ErrorOptions) {
    super(message, options);
    this.kind = kind;
  }
}

/** The user gave it up. */
export class DownloadCancelledError extends Error {
  override readonly name = 'DownloadCancelledError';
}

/** The system's code of a failed request, which fetch hides in the causes of its error. */
function networkCode(error: unknown): string | null {
  for (let current = error; current instanceof Error; current = current.cause)
    if ('code' in current && typeof current.code === 'string') return current.code;
  return null;
}

/** Turns a failed request into a HubError about this address. */
export function unreachable(address: string, error: unknown): HubError {
  const code = networkCode(error);
  return new HubError(
    'offline',
    `${address} cannot be reached${code === null ? '' : ` (${code})`}. Check the connection; HF_ENDPOINT names another ` +
      'address. Without a network, copy the weights here by other means and choose them as the model',
    { cause: error },
  );
}

/** Turns an answer that is no success into a HubError. */
export function refused(repository: string, status: number): HubError {
  const reason = {
    401: `${repository} needs a login or does not exist (401). Put a token of your account into HF_TOKEN`,
    403: `${repository} is gated (403). Accept its terms on the hub and put a token of your account into HF_TOKEN`,
    404: `${repository} is not on the hub, or not the file that was asked for (404)`,
    429: `the hub asks to wait: too many requests (429). Try again later, or put a token into HF_TOKEN`,
  }[status];
  return new HubError('refused', reason ?? `the hub answered ${status} for ${repository}. Try again later`);
}
