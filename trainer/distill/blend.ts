/**
 * α·student + (1 − α)·teacher, element by element in float32 as the published code does it. It runs over every
 * tensor, frozen ones too, where it may move a weight by one rounding.
 */
export function blend(student: Float32Array, teacher: Float32Array, alpha: number): Float32Array {
  if (student.length !== teacher.length)
    throw new RangeError(`blend: ${student.length} and ${teacher.length} elements`);
  const own = Math.fround(alpha);
  const others = Math.fround(1 - alpha);
  const result = new Float32Array(student.length);
  for (let index = 0; index < result.length; index++)
    result[index] = Math.fround(own * student[index]!) + Math.fround(others * teacher[index]!);
  return result;
}
