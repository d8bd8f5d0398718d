import assert from 'node:assert/strict';
import { readFile, stat } from 'node:fs/promises';
import path from 'node:path';
import { IMAGE_EXTENSIONS } from '../../extension/candidates.ts';
import { settingFlags } from '../../extension/commandLine.ts';
import {
  COMMAND_CATEGORY,
  COMPARISON_PANEL_TYPE,
  commandTitles,
  contextKeys,
  EVALUATION_EDITOR_TYPE,
  EVALUATION_PANEL_TYPE,
  INSPECTOR_EDITOR_TYPE,
  INSPECTOR_PANEL_TYPE,
  RUNS_VIEW,
  settingKeys,
  TRAINING_PANEL_TYPE,
  trainingSettingKey,
  VIEW_CONTAINER,
} from '../../extension/identifiers.ts';
import { presetIds, presetOf } from '../../extension/presets.ts';
import { slurmSettingKey, slurmSettingNames } from '../../extension/slurmRequest.ts';
import { isTunableSetting, problemWithSetting, settingRules } from '../../extension/trainingSettings.ts';
import { colourMapNames } from '../../trainer/dense/colourMaps.ts';
import { runReportPath } from '../../trainer/evaluate/protocol.ts';
import { slurmDefaults } from '../../trainer/slurm/batchScript.ts';
import { settingRanges, trainingDefaults } from '../../trainer/training/settings.ts';

interface Command {
  command: string;
  title: string;
  category: string;
  enablement?: string;
}

interface Property {
  type: string | string[];
  default: unknown;
  enum?: unknown[];
  minimum?: number;
  maximum?: number;
  scope?: string;
  order?: number;
  markdownDescription?: string;
}

interface Manifest {
  main: string;
  icon: string;
  activationEvents: string[];
  contributes: {
    commands: Command[];
    customEditors: { viewType: string; priority: string; selector: { filenamePattern: string }[] }[];
    menus: Record<string, { command: string; when?: string }[]>;
    configuration: { properties: Record<string, Property> }[];
    views: Record<string, { id: string; icon: string }[]>;
    viewsContainers: { activitybar: { id: string; icon: string }[] };
    walkthroughs: { steps: { media: { svg: string }; completionEvents: string[] }[] }[];
  };
  capabilities: { untrustedWorkspaces: { restrictedConfigurations: string[] } };
}

const root = new URL('../../', import.meta.url);
const names = Object.keys(settingRules).filter(isTunableSetting);

describe('the manifest and the code', () => {
  let manifest: Manifest;
  let properties: Record<string, Property>;

  before(async () => {
    manifest = JSON.parse(await readFile(new URL('package.json', root), 'utf8')) as Manifest;
    properties = Object.assign({}, ...manifest.contributes.configuration.map(part => part.properties));
  });

  it('name the same commands with the same titles', () => {
    const contributed = manifest.contributes.commands.map(({ command, title }) => [command, title]);
    assert.deepEqual(Object.fromEntries(contributed), commandTitles);
    for (const { category } of manifest.contributes.commands) assert.equal(category, COMMAND_CATEGORY);
  });

  it('let only trusted workspaces start and stop trainers', () => {
    const guarded = manifest.contributes.commands.filter(
      ({ enablement }) => enablement === 'isWorkspaceTrusted',
    );
    assert.deepEqual(
      guarded.map(({ command }) => command),
      [
        'clipself.fineTune',
        'clipself.fineTuneOnSlurm',
        'clipself.cancelJob',
        'clipself.stop',
        'clipself.resume',
        'clipself.evaluate',
        'clipself.segment',
        'clipself.propose',
        'clipself.pseudoLabel',
        'clipself.fineTuneDemo',
      ],
    );
  });

  it('give every menu entry a known command and a when clause of known keys', () => {
    const keys: string[] = [
      ...Object.values(contextKeys),
      RUNS_VIEW,
      TRAINING_PANEL_TYPE,
      INSPECTOR_EDITOR_TYPE,
    ];
    for (const [menu, entries] of Object.entries(manifest.contributes.menus)) {
      for (const { command, when } of entries) {
        assert.ok(command in commandTitles, `${menu}: ${command}`);
        assert.ok(when, `${menu}: ${command} is shown everywhere`);
        for (const key of when.match(/clipself\.\w+/g) ?? [])
          assert.ok(keys.includes(key), `${menu}: ${key}`);
      }
    }
  });

  it('agree on the view, its container and the event that restores panels', () => {
    const { viewsContainers, views } = manifest.contributes;
    assert.deepEqual(
      viewsContainers.activitybar.map(({ id }) => id),
      [VIEW_CONTAINER],
    );
    assert.deepEqual(
      views[VIEW_CONTAINER]?.map(({ id }) => id),
      [RUNS_VIEW],
    );
    for (const type of [
      TRAINING_PANEL_TYPE,
      INSPECTOR_PANEL_TYPE,
      EVALUATION_PANEL_TYPE,
      COMPARISON_PANEL_TYPE,
    ]) {
      assert.ok(manifest.activationEvents.includes(`onWebviewPanel:${type}`), type);
    }
  });

  it('offer the inspector for every kind of image that is read', () => {
    const { customEditors, menus } = manifest.contributes;
    const editor = customEditors.find(({ viewType }) => viewType === INSPECTOR_EDITOR_TYPE);
    assert.equal(editor?.priority, 'option');
    assert.deepEqual(
      editor.selector.map(({ filenamePattern }) => filenamePattern).sort(),
      IMAGE_EXTENSIONS.map(extension => `*.${extension}`).sort(),
    );
    const entries = Object.entries(menus).flatMap(([menu, items]) =>
      items
        .filter(({ command }) => command === 'clipself.inspectDenseFeatures')
        .map(({ when }) => ({ menu, when })),
    );
    assert.deepEqual(
      entries.map(({ menu }) => menu),
      ['explorer/context', 'editor/title', 'editor/title/context'],
    );
    for (const { menu, when } of entries) {
      const pattern = new RegExp(/resourceExtname =~ \/(.+)\/i/.exec(when ?? '')![1]!, 'i');
      for (const extension of IMAGE_EXTENSIONS) assert.match(`.${extension.toUpperCase()}`, pattern, menu);
      assert.doesNotMatch('.safetensors', pattern);
    }
  });

  it('offer the evaluation panel for the reports that runs keep', () => {
    const { customEditors, menus } = manifest.contributes;
    const editor = customEditors.find(({ viewType }) => viewType === EVALUATION_EDITOR_TYPE);
    assert.equal(editor?.priority, 'option');
    assert.deepEqual(editor.selector, [{ filenamePattern: '*report.json' }]);
    const entry = menus['explorer/context']!.find(({ command }) => command === 'clipself.openEvaluation');
    const pattern = new RegExp(/resourceFilename =~ \/(.+)\/i/.exec(entry?.when ?? '')![1]!, 'i');
    for (const name of [path.basename(runReportPath(3)), 'first.report.json', 'lvis-report.json'])
      assert.match(name, pattern);
    for (const name of ['package.json', 'report.json.bak', 'report.ts']) assert.doesNotMatch(name, pattern);
  });

  it('offer every colour map of values for the inspector, and no other', () => {
    // The colours of differences have a middle, which values do not have.
    const ofValues = colourMapNames.filter(name => name !== 'difference');
    const { enum: offered, default: first } = properties['clipself.inspector.colourMap']!;
    assert.deepEqual(offered, ofValues);
    assert.ok(ofValues.some(name => name === first));
  });

  it('name the same settings', () => {
    const known = [
      ...names.map(trainingSettingKey),
      ...slurmSettingNames.map(slurmSettingKey),
      ...Object.values(settingKeys),
    ];
    assert.deepEqual(Object.keys(properties).sort(), known.sort());
    for (const [key, { scope, order, markdownDescription }] of Object.entries(properties)) {
      assert.ok(scope && order && markdownDescription, `${key} lacks scope, order or description`);
    }
    for (const key of manifest.capabilities.untrustedWorkspaces.restrictedConfigurations) {
      assert.ok(key in properties, `${key} is restricted but does not exist`);
    }
  });

  it('show the bounds that are enforced', () => {
    for (const name of names) {
      const { minimum, maximum, type } = properties[trainingSettingKey(name)]!;
      const rule = settingRules[name];
      assert.equal([type].flat().includes('null'), rule.optional, `${name}: null`);
      if (rule.kind === 'text') continue;
      assert.deepEqual([minimum, maximum], [rule.minimum, rule.maximum], name);
      assert.equal([type].flat()[0], rule.kind, name);
    }
  });

  it('have the flags, bounds and defaults of the command line', () => {
    for (const [name, { option, least, most, whole }] of Object.entries(settingRanges)) {
      // What several ranks do is set where they are launched, on the command line alone.
      if (name === 'ranks' || name === 'compareWeightsEvery') continue;
      assert.ok(isTunableSetting(name), name);
      assert.equal(settingFlags[name], option);
      const { kind, ...rule } = settingRules[name];
      assert.equal(kind, whole ? 'integer' : 'number', name);
      assert.deepEqual(
        ['minimum' in rule && rule.minimum, 'maximum' in rule && rule.maximum],
        [least, most],
        name,
      );
    }
    const defaults: Record<string, unknown> = trainingDefaults;
    for (const name of names) {
      const shown = properties[trainingSettingKey(name)]!.default;
      // Null leaves the value to the trainer, whatever it is.
      if (shown !== null) assert.equal(shown, defaults[name], name);
    }
  });

  it('have the defaults of clipself slurm', () => {
    for (const name of slurmSettingNames) {
      const { default: shown, scope } = properties[slurmSettingKey(name)]!;
      assert.deepEqual(shown, slurmDefaults[name], name);
      assert.equal(scope, 'resource');
    }
    // Shell that comes with a folder is not run before the folder is trusted.
    const restricted = manifest.capabilities.untrustedWorkspaces.restrictedConfigurations;
    for (const name of slurmSettingNames) assert.ok(restricted.includes(slurmSettingKey(name)), name);
  });

  it('have presets within the bounds', () => {
    for (const id of presetIds) {
      for (const [name, value] of Object.entries(presetOf(id).overrides)) {
        assert.ok(isTunableSetting(name), `${id}: ${name}`);
        assert.equal(problemWithSetting(name, value), null, `${id}: ${name}`);
      }
    }
  });

  it('name files that exist', async () => {
    const { viewsContainers, views, walkthroughs } = manifest.contributes;
    const files = [
      manifest.icon,
      ...viewsContainers.activitybar.map(({ icon }) => icon),
      ...(views[VIEW_CONTAINER] ?? []).map(({ icon }) => icon),
      ...walkthroughs.flatMap(({ steps }) => steps.map(({ media }) => media.svg)),
      'media/icons/panel-light.svg',
      'media/icons/panel-dark.svg',
    ];
    for (const file of files) assert.ok((await stat(new URL(file, root))).isFile(), file);
  });
});
