/**
 * The only module that knows `@vscode/webview-ui-toolkit`. The toolkit is archived: a successor replaces it here.
 * Controls are made by the functions below and look and behave like those of VS Code itself.
 */

import './nonce.ts';

import {
  type Button,
  type Checkbox,
  provideVSCodeDesignSystem,
  type TextField,
  vsCodeButton,
  vsCodeCheckbox,
  vsCodeProgressRing,
  vsCodeTextField,
} from '@vscode/webview-ui-toolkit';
import { type IconName, icon } from './icons.ts';

export type ButtonControl = Button;
export type CheckboxControl = Checkbox;

/** Defines the custom elements; once, before the first control is made. */
export function registerControls(): void {
  provideVSCodeDesignSystem().register(
    vsCodeButton(),
    vsCodeCheckbox(),
    vsCodeProgressRing(),
    vsCodeTextField(),
  );
}

export interface ButtonOptions {
  label: string;
  icon?: IconName;
  appearance?: 'primary' | 'secondary' | 'icon';
  onClick: () => void;
}

/** A button; with the `icon` appearance its label is only spoken and shown as a tooltip. */
export function createButton(options: ButtonOptions): Button {
  const button = document.createElement('vscode-button') as Button;
  const appearance = options.appearance ?? 'secondary';
  if (appearance === 'icon') {
    // Before the appearance: the toolkit gives icon buttons without this attribute a name of its own.
    button.setAttribute('aria-label', options.label);
    button.title = options.label;
    if (options.icon) button.append(icon(options.icon));
  } else {
    const symbol = options.icon && icon(options.icon);
    symbol?.setAttribute('slot', 'start');
    button.append(...(symbol ? [symbol] : []), options.label);
  }
  button.appearance = appearance;
  button.addEventListener('click', () => {
    if (!button.disabled) options.onClick();
  });
  return button;
}

/** A labelled checkbox. */
export function createCheckbox(
  label: string,
  checked: boolean,
  onChange: (checked: boolean) => void,
): Checkbox {
  const checkbox = document.createElement('vscode-checkbox') as Checkbox;
  checkbox.textContent = label;
  checkbox.checked = checked;
  checkbox.addEventListener('change', () => onChange(checkbox.checked));
  return checkbox;
}

export interface TextFieldOptions {
  /** Only spoken. */
  label: string;
  placeholder: string;
  value: string;
  onInput: (text: string) => void;
}

/** A line of text. */
export function createTextField(options: TextFieldOptions): TextField {
  const field = document.createElement('vscode-text-field') as TextField;
  field.setAttribute('aria-label', options.label);
  field.placeholder = options.placeholder;
  field.value = options.value;
  field.addEventListener('input', () => options.onInput(field.value));
  return field;
}

/** The indeterminate spinner. */
export function createProgressRing(): HTMLElement {
  return document.createElement('vscode-progress-ring');
}

export interface SliderOptions {
  label: string;
  minimum: number;
  maximum: number;
  step: number;
  value: number;
  /** What the value reads like, such as "0.60". */
  format: (value: number) => string;
  onInput: (value: number) => void;
}

/** A labelled slider with its value beside it. The toolkit has none: this is the browser's, in theme colours. */
export function createSlider(options: SliderOptions): HTMLElement {
  const container = document.createElement('label');
  container.className = 'slider';
  const input = document.createElement('input');
  input.type = 'range';
  input.min = String(options.minimum);
  input.max = String(options.maximum);
  input.step = String(options.step);
  input.value = String(options.value);
  const output = document.createElement('output');
  const show = (): void => {
    const text = options.format(input.valueAsNumber);
    output.textContent = text;
    input.setAttribute('aria-valuetext', text);
  };
  input.addEventListener('input', () => {
    show();
    options.onInput(input.valueAsNumber);
  });
  show();
  container.append(options.label, input, output);
  return container;
}
