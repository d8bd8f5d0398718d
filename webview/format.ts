/** Numbers, durations and names as panels print them. Everything here is plain text in, plain text out. */

/** Printed where a number is not known. */
export const UNKNOWN = '–';

const grouped = new Intl.NumberFormat('en-US', { maximumFractionDigits: 0 });

/** 12,345. */
export function formatCount(value: number): string {
  return Number.isFinite(value) ? grouped.format(value) : UNKNOWN;
}

/** Losses and other metrics: four decimals; below 0.001 four significant digits, so that small losses stay readable. */
export function formatMetric(value: number | null): string {
  if (value === null || !Number.isFinite(value)) return UNKNOWN;
  return value !== 0 && Math.abs(value) < 1e-3 ? formatScientific(value, 3) : value.toFixed(4);
}

/** Cosines, which stand below each other: four decimals, whatever their size; −0.0006. */
export function formatCosine(value: number | null): string {
  if (value === null || !Number.isFinite(value)) return UNKNOWN;
  const text = Math.abs(value).toFixed(4);
  return value < 0 && /[1-9]/.test(text) ? `−${text}` : text;
}

/** 1.00e-5, the way learning rates are written in papers and configuration files. */
export function formatScientific(value: number, decimals = 2): string {
  return Number.isFinite(value) ? value.toExponential(decimals) : UNKNOWN;
}

/** Three significant digits without an exponent where that is readable: 0.0123, 4.56, 78.9, 1,234. */
export function formatSignificant(value: number): string {
  if (!Number.isFinite(value)) return UNKNOWN;
  const magnitude = Math.abs(value);
  if (value !== 0 && (magnitude < 1e-3 || magnitude >= 1e7)) return formatScientific(value);
  return magnitude >= 100 ? grouped.format(value) : value.toPrecision(3);
}

/**
 * A number on an axis: as many decimals as the distance between ticks needs, so that all ticks of an axis have the
 * same; without a distance (0) at most three significant digits.
 */
export function formatTick(value: number, spacing = 0): string {
  const magnitude = Math.abs(value);
  if (magnitude >= 1e6 || (value !== 0 && magnitude < 1e-3))
    return formatScientific(value, 1).replace('.0e', 'e');
  if (magnitude >= 1000) return grouped.format(value);
  if (spacing <= 0) return String(Number(value.toPrecision(3)));
  const decimals = Number(spacing.toPrecision(2)).toString().split('.')[1]?.length ?? 0;
  return value.toFixed(Math.min(decimals, 4));
}

/** MiB up to one GiB, then GiB with two decimals. */
export function formatMemory(mebibytes: number): string {
  if (!Number.isFinite(mebibytes)) return UNKNOWN;
  return mebibytes < 1024 ? `${mebibytes.toFixed(0)} MiB` : `${(mebibytes / 1024).toFixed(2)} GiB`;
}

/** Two leading units of a time in seconds: 45 s, 3 min 20 s, 2 h 05 min, 3 d 4 h. */
export function formatDuration(seconds: number | null): string {
  if (seconds === null || !Number.isFinite(seconds) || seconds < 0) return UNKNOWN;
  const total = Math.round(seconds);
  if (total < 60) return `${total} s`;
  const minutes = Math.floor(total / 60);
  if (minutes < 60) return `${minutes} min ${pad(total % 60)} s`;
  const hours = Math.floor(minutes / 60);
  if (hours < 24) return `${hours} h ${pad(minutes % 60)} min`;
  return `${Math.floor(hours / 24)} d ${hours % 24} h`;
}

/** Local date and time, 2024-05-01 13:07:09. `time` in milliseconds since the Unix epoch. */
export function formatTime(time: number): string {
  const date = new Date(time);
  if (Number.isNaN(date.getTime())) return UNKNOWN;
  const day = `${date.getFullYear()}-${pad(date.getMonth() + 1)}-${pad(date.getDate())}`;
  return `${day} ${pad(date.getHours())}:${pad(date.getMinutes())}:${pad(date.getSeconds())}`;
}

/** A signed difference of two metrics: +0.0421, −0.0013. */
export function formatChange(change: number): string {
  if (!Number.isFinite(change)) return UNKNOWN;
  return `${change < 0 ? '−' : '+'}${formatMetric(Math.abs(change))}`;
}

/** A dotted camel-case name as words: `heldOut.cosine` → "Held out · cosine", `batch` → "Batch". */
export function formatName(name: string): string {
  const words = name
    .split('.')
    .map(part =>
      part.replace(
        /([a-z])([A-Z])/g,
        (_, before: string, after: string) => `${before} ${after.toLowerCase()}`,
      ),
    )
    .join(' · ');
  return words.charAt(0).toUpperCase() + words.slice(1);
}

function pad(value: number): string {
  return String(value).padStart(2, '0');
}
