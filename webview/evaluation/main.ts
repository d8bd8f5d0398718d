import { registerControls } from '../controls.ts';
import { EvaluationPanel } from './panel.ts';
import './evaluation.css';

registerControls();
new EvaluationPanel(document.querySelector<HTMLElement>('#evaluation') ?? document.body).start();
