/** Finds the images of a data set among the members of tar shards. */
import { FileError } from '../checkpoints/fileError.ts';
import { pathUnder } from '../images/imageFolder.ts';
import { memberPlace } from '../images/memberStore.ts';
import { type ImageSource, openImageSource } from '../shards/imageSource.ts';
import { isShardPattern } from '../shards/shardPattern.ts';
import type { RegionData } from './regionData.ts';

/**
 * Says of each image where it lies. One that is in none of the shards is left as it is.
 *
 * @param images Folder or shards; of a folder nothing is looked for.
 * @throws FileError when a shard cannot be read, or an image is there twice.
 */
export async function placedInShards(data: RegionData, images: string): Promise<RegionData> {
  if (!isShardPattern(images)) return data;
  const source = await openImageSource(images);
  const { members, root } = source;
  if (!members) return data;
  const positions = positionsOf(source);
  const placed = data.images.map(image => {
    const found = positions.get(pathUnder(root, image.file, data.annotations)) ?? [];
    const [position, other] = found;
    if (other !== undefined)
      throw new FileError(
        source.files[other]!,
        `it has the name of ${source.files[position!]}, and the annotations tell images by their names`,
        'Name shards whose members have different names',
      );
    return position === undefined ? image : { ...image, member: memberPlace(members, position) };
  });
  return { ...data, images: placed };
}

function positionsOf({ paths }: ImageSource): ReadonlyMap<string, number[]> {
  const positions = new Map<string, number[]>();
  for (const [position, path] of paths.entries()) {
    const known = positions.get(path);
    if (known) known.push(position);
    else positions.set(path, [position]);
  }
  return positions;
}
