import { FileError } from '../checkpoints/fileError.ts';
import { readCocoInstances } from './cocoInstances.ts';
import { readCocoPanoptic } from './cocoPanoptic.ts';
import { placedInShards } from './imagesInShards.ts';
import { readPlainBoxes } from './plainBoxes.ts';
import { type RegionData, type RegionFolders, type SkipBroken, withExistingFiles } from './regionData.ts';

/** Kinds of annotation files, and the options that take them. */
export const annotationKinds = ['panoptic', 'instances', 'boxes'] as const;
export type AnnotationKind = (typeof annotationKinds)[number];

const readers: Record<AnnotationKind, (file: string, skipBroken: SkipBroken) => Promise<RegionData>> = {
  panoptic: readCocoPanoptic,
  instances: readCocoInstances,
  boxes: readPlainBoxes,
};

export interface DataRequest {
  kind: AnnotationKind;
  annotations: string;
  folders: RegionFolders;
  /** Images evaluated: the first of the file; null for all. */
  limit: number | null;
  skipBroken: SkipBroken;
}

/**
 * Reads annotations and makes sure that the files they name are there, or members of shards.
 *
 * @throws FileError naming what is broken or missing, or when there is nothing to evaluate.
 */
export async function openData({
  kind,
  annotations,
  folders,
  limit,
  skipBroken,
}: DataRequest): Promise<RegionData> {
  const data = await readers[kind](annotations, skipBroken);
  const images = limit === null ? data.images : data.images.slice(0, limit);
  const placed = await placedInShards({ ...data, images }, folders.images);
  const present = await withExistingFiles(placed, folders, skipBroken);
  if (present.images.length > 0) return present;
  throw new FileError(annotations, 'it leaves no image to evaluate', 'Check the annotations and the folders');
}
