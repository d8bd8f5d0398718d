import { type ButtonControl, createButton, createCheckbox, createSlider } from '../controls.ts';
import { element } from '../dom.ts';
import { createSelect } from '../select.ts';
import { offeredColourMaps } from './cellPixels.ts';
import type { PanelImage } from './protocol/messages.ts';
import { type InspectorState, type InspectorView, MAXIMUM_COLUMNS } from './protocol/state.ts';
import type { View } from './views/view.ts';

export interface ToolbarActions {
  remember: (change: Partial<InspectorState>) => void;
  showView: (view: InspectorView) => void;
  showImage: (image: number) => void;
  showDifference: (difference: boolean) => void;
  addColumn: () => void;
}

/** What holds for all columns: the view, the image, and how overlays look. */
export class Toolbar {
  readonly root: HTMLElement;
  readonly #actions: ToolbarActions;
  readonly #views: readonly View[];
  readonly #tabs: HTMLElement[];
  readonly #image;
  readonly #colourMap;
  readonly #add: ButtonControl;
  readonly #sync;
  readonly #difference;
  readonly #viewControls = element('div', { class: 'view-controls-slot' });

  constructor(state: InspectorState, views: readonly View[], actions: ToolbarActions) {
    this.#actions = actions;
    this.#views = views;
    this.#tabs = views.map(view => this.#tab(view));
    const tablist = element(
      'div',
      { class: 'tabs', attributes: { role: 'tablist', 'aria-label': 'View' } },
      ...this.#tabs,
    );
    tablist.addEventListener('keydown', event => this.#handleTabKey(event));
    this.#image = createSelect({
      label: 'Image',
      options: [],
      value: '',
      onChange: value => actions.showImage(Number(value)),
    });
    this.#colourMap = createSelect({
      label: 'Colours',
      options: offeredColourMaps.map(value => ({ value, label: value })),
      value: state.colourMap,
      onChange: colourMap => actions.remember({ colourMap }),
    });
    this.#add = createButton({ label: 'Compare', icon: 'add', onClick: actions.addColumn });
    this.#add.title = 'Add a column with another model, size or read-out';
    this.#sync = createCheckbox('Sync', state.synced ?? true, synced => actions.remember({ synced }));
    this.#sync.title = 'Pan and zoom all columns together';
    this.#difference = createCheckbox('Difference', state.difference, difference =>
      actions.showDifference(difference),
    );
    this.#difference.title = 'Show the last column as difference to the first';
    this.root = element(
      'div',
      { class: 'inspector-toolbar' },
      element('div', { class: 'toolbar-line' }, tablist, this.#image.root),
      element(
        'div',
        { class: 'toolbar-line toolbar-groups' },
        this.#viewControls,
        element(
          'div',
          { class: 'toolbar-group' },
          this.#opacitySlider(state.opacity),
          this.#smoothing(state.smooth),
          this.#colourMap.root,
          this.#sync,
          this.#difference,
          this.#add,
        ),
      ),
    );
  }

  update(state: InspectorState, images: readonly PanelImage[]): void {
    this.#views.forEach((view, index) => {
      const selected = view.id === state.view;
      const tab = this.#tabs[index]!;
      tab.setAttribute('aria-selected', String(selected));
      tab.tabIndex = selected ? 0 : -1;
      if (!selected) return;
      view.refreshControls?.();
      if (this.#viewControls.firstChild !== view.controls) this.#viewControls.replaceChildren(view.controls);
      this.#viewControls.hidden = view.controls.childElementCount === 0;
    });
    this.#image.root.hidden = images.length < 2;
    this.#image.setOptions(images.map(({ name }, index) => ({ value: String(index), label: name })));
    this.#image.value = String(state.image);
    this.#colourMap.value = state.colourMap;
    const several = state.columns.length > 1;
    this.#sync.hidden = !several;
    this.#difference.hidden = !several;
    this.#add.disabled = state.columns.length >= MAXIMUM_COLUMNS;
  }

  #tab(view: View): HTMLElement {
    const tab = element('button', {
      class: 'tab',
      text: view.label,
      attributes: { type: 'button', role: 'tab', 'data-view': view.id },
    });
    tab.addEventListener('click', () => this.#actions.showView(view.id));
    return tab;
  }

  #handleTabKey(event: KeyboardEvent): void {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (step === undefined) return;
    event.preventDefault();
    const current = this.#tabs.findIndex(tab => tab.getAttribute('aria-selected') === 'true');
    const next = (current + step + this.#tabs.length) % this.#tabs.length;
    this.#actions.showView(this.#views[next]!.id);
    this.#tabs[next]!.focus();
  }

  #opacitySlider(opacity: number): HTMLElement {
    const slider = createSlider({
      label: 'Opacity',
      minimum: 0,
      maximum: 1,
      step: 0.05,
      value: opacity,
      format: value => value.toFixed(2),
      onInput: value => this.#actions.remember({ opacity: value }),
    });
    slider.dataset.control = 'opacity';
    return slider;
  }

  #smoothing(smooth: boolean): HTMLElement {
    const box = createCheckbox('Smooth', smooth, checked => this.#actions.remember({ smooth: checked }));
    box.dataset.control = 'smooth';
    return box;
  }
}
