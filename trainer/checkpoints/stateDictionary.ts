/** Finds the tensors of a model in what a checkpoint's pickle holds. */
import {
  kindOf,
  PickleDictionary,
  PickleError,
  PickleModule,
  PickleTensor,
  type PickleValue,
} from './pickleValues.ts';

/** Keys under which training programs keep the model beside its optimiser: OpenCLIP and CLIPSelf; EVA; DeepSpeed. */
const modelKeys = ['state_dict', 'model', 'module'];

/** What wrapping a model for several processes puts in front of every name. */
const wrapperPrefix = 'module.';

const maximumModules = 100_000;
const maximumDepth = 64;
const maximumNameLength = 1000;

export interface StateDictionary {
  tensors: Map<string, PickleTensor>;
  /** Numbers and short texts beside the model, such as the epoch. */
  remarks: Record<string, string>;
}

function checkName(name: string): string {
  if (name.length > maximumNameLength)
    throw new PickleError(`the name of a tensor has ${name.length} characters`);
  return name;
}

function tensorsOf(dictionary: PickleDictionary): Map<string, PickleTensor> {
  const tensors = new Map<string, PickleTensor>();
  for (const [key, value] of dictionary.items)
    if (typeof key === 'string' && value instanceof PickleTensor) tensors.set(checkName(key), value);
  return tensors;
}

function remarksOf(dictionary: PickleDictionary): Record<string, string> {
  const remarks: [string, string][] = [];
  for (const [key, value] of dictionary.items) {
    const short = typeof value === 'number' || (typeof value === 'string' && value.length <= 200);
    if (typeof key === 'string' && key.length <= 100 && short) remarks.push([key, String(value)]);
  }
  return Object.fromEntries(remarks);
}

function withoutWrapper(tensors: Map<string, PickleTensor>): Map<string, PickleTensor> {
  const names = [...tensors.keys()];
  if (names.length === 0 || !names.every(name => name.startsWith(wrapperPrefix))) return tensors;
  return new Map([...tensors].map(([name, tensor]) => [name.slice(wrapperPrefix.length), tensor]));
}

/** The tensors of a plain state dict, or of one under `state_dict`, `model` or `module`. */
export function findStateDictionary(root: PickleValue): StateDictionary {
  if (!(root instanceof PickleDictionary))
    throw new PickleError(`it holds ${kindOf(root)} instead of a dict of tensors`);
  for (const key of modelKeys) {
    const inner = root.items.get(key);
    if (!(inner instanceof PickleDictionary)) continue;
    const tensors = tensorsOf(inner);
    if (tensors.size > 0) return { tensors: withoutWrapper(tensors), remarks: remarksOf(root) };
  }
  return { tensors: withoutWrapper(tensorsOf(root)), remarks: remarksOf(root) };
}

/** The parameters and buffers of a TorchScript module, named by their path through its submodules. */
export function findModuleTensors(root: PickleValue): StateDictionary {
  if (!(root instanceof PickleModule))
    throw new PickleError(`it holds ${kindOf(root)} instead of a TorchScript module`);
  const tensors = new Map<string, PickleTensor>();
  let modules = 0;
  const visit = (module: PickleModule, prefix: string, depth: number): void => {
    // A module may contain itself.
    if (++modules > maximumModules || depth > maximumDepth)
      throw new PickleError('its modules are nested without end');
    for (const [key, value] of module.attributes) {
      if (typeof key !== 'string') continue;
      const name = checkName(`${prefix}${key}`);
      if (value instanceof PickleTensor) tensors.set(name, value);
      else if (value instanceof PickleModule) visit(value, `${name}.`, depth + 1);
    }
  };
  visit(root, '', 0);
  return { tensors, remarks: {} };
}
