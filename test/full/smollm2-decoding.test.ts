// A real model as fp32: everything the reference has. Minutes, so not in every run of the tests.

import { smollm2Parity } from '../steps/smollm2-parity.ts';

const rows = 50;

smollm2Parity({
  dtype: 'float32',
  answers: 10,
  passages: 5,
  continuations: 21,
  tasks: {
    medqa_4options: rows,
    medmcqa: rows,
    pubmedqa: rows,
    mmlu_anatomy: rows,
    mmlu_anatomy_5shot: rows,
    mmlu_clinical_knowledge: rows,
    mmlu_college_biology: rows,
    mmlu_college_medicine: rows,
    mmlu_medical_genetics: rows,
    mmlu_nutrition: rows,
    mmlu_professional_medicine: rows,
    mmlu_virology: rows,
  },
});
