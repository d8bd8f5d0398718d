import { registerControls } from '../controls.ts';
import { ComparisonPanel } from './panel.ts';
import './comparison.css';

registerControls();
new ComparisonPanel(document.querySelector<HTMLElement>('#comparison') ?? document.body).start();
