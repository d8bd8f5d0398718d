import { describeEngine } from '../support/engineContract.ts';
import { testTensorflow } from '../support/tensorflow.ts';

describeEngine('TensorFlow engine', testTensorflow, {
  badIndex: /index value 2 is not in \[0, 1\]/,
  sameName: /two inputs are called 'x'/,
});
