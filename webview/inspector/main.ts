import { registerControls } from '../controls.ts';
import { InspectorPanel } from './panel.ts';
import './inspector.css';

registerControls();
new InspectorPanel(document.querySelector<HTMLElement>('#inspector') ?? document.body).start();
