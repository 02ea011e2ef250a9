// Medical words made of a root (the part of the body, or what is in the blood) and an ending (what is the matter, or
// what is done). Only words that are in use and mean what their parts say.

export interface Term {
  readonly word: string;
  readonly ending: string;
  /** What it means, as an answer. */
  readonly meaning: string;
  /** The part or substance it is about. */
  readonly about: string;
}

/** Ending -> what it says of `the X`, and the words with their X. */
const FAMILIES: readonly (readonly [
  ending: string,
  meaning: (about: string) => string,
  words: string,
])[] = [
  [
    '-itis',
    (about) => `inflammation of ${about}`,
    `gastritis:the stomach hepatitis:the liver nephritis:the kidney carditis:the heart arthritis:a joint
     dermatitis:the skin encephalitis:the brain myositis:a muscle neuritis:a nerve osteitis:a bone colitis:the colon
     cystitis:the bladder pancreatitis:the pancreas tonsillitis:the tonsils appendicitis:the appendix rhinitis:the nose
     otitis:the ear ophthalmitis:the eye splenitis:the spleen thyroiditis:the thyroid laryngitis:the larynx
     pharyngitis:the throat bronchitis:the bronchi mastitis:the breast prostatitis:the prostate tracheitis:the windpipe
     glossitis:the tongue phlebitis:a vein arteritis:an artery gingivitis:the gums esophagitis:the esophagus
     duodenitis:the duodenum proctitis:the rectum ureteritis:the ureter urethritis:the urethra oophoritis:the ovary
     orchitis:the testicle cholecystitis:the gallbladder lymphadenitis:a lymph node pneumonitis:the lung
     keratitis:the cornea vasculitis:a blood vessel`,
  ],
  [
    '-ectomy',
    (about) => `surgical removal of ${about}`,
    `gastrectomy:the stomach hepatectomy:the liver nephrectomy:the kidney colectomy:the colon cystectomy:the bladder
     pancreatectomy:the pancreas tonsillectomy:the tonsils appendectomy:the appendix splenectomy:the spleen
     thyroidectomy:the thyroid laryngectomy:the larynx mastectomy:the breast prostatectomy:the prostate
     glossectomy:the tongue gingivectomy:the gums esophagectomy:the esophagus duodenectomy:the duodenum
     proctectomy:the rectum urethrectomy:the urethra oophorectomy:the ovary orchiectomy:the testicle
     cholecystectomy:the gallbladder lymphadenectomy:a lymph node pneumonectomy:the lung hysterectomy:the uterus`,
  ],
  [
    '-algia',
    (about) => `pain in ${about}`,
    `gastralgia:the stomach hepatalgia:the liver nephralgia:the kidney arthralgia:a joint myalgia:a muscle
     neuralgia:a nerve ostealgia:a bone otalgia:the ear mastalgia:the breast glossalgia:the tongue proctalgia:the rectum
     rhinalgia:the nose pharyngalgia:the throat splenalgia:the spleen ophthalmalgia:the eye`,
  ],
  [
    '-scopy',
    (about) => `looking into ${about} with an instrument`,
    `gastroscopy:the stomach colonoscopy:the colon cystoscopy:the bladder rhinoscopy:the nose otoscopy:the ear
     laryngoscopy:the larynx pharyngoscopy:the throat bronchoscopy:the bronchi arthroscopy:a joint
     proctoscopy:the rectum esophagoscopy:the esophagus duodenoscopy:the duodenum hysteroscopy:the uterus
     ureteroscopy:the ureter urethroscopy:the urethra nephroscopy:the kidney`,
  ],
  [
    '-pathy',
    (about) => `disease of ${about}`,
    `gastropathy:the stomach hepatopathy:the liver nephropathy:the kidney arthropathy:a joint encephalopathy:the brain
     myopathy:a muscle neuropathy:a nerve osteopathy:a bone adenopathy:a gland vasculopathy:a blood vessel
     cardiopathy:the heart thyropathy:the thyroid`,
  ],
  [
    '-plasty',
    (about) => `surgical repair of ${about}`,
    `rhinoplasty:the nose otoplasty:the ear arthroplasty:a joint urethroplasty:the urethra laryngoplasty:the larynx
     pharyngoplasty:the throat cystoplasty:the bladder gastroplasty:the stomach neuroplasty:a nerve
     mammoplasty:the breast tracheoplasty:the windpipe osteoplasty:a bone`,
  ],
  [
    '-megaly',
    (about) => `enlargement of ${about}`,
    `hepatomegaly:the liver splenomegaly:the spleen cardiomegaly:the heart nephromegaly:the kidney
     thyromegaly:the thyroid gastromegaly:the stomach adenomegaly:a gland`,
  ],
  [
    'hyper-',
    (about) => `too much ${about} in the blood`,
    `hyperglycemia:sugar hyperkalemia:potassium hypernatremia:sodium hypercalcemia:calcium hyperphosphatemia:phosphate
     hypermagnesemia:magnesium hyperuricemia:uric acid hyperlipidemia:fat hypercholesterolemia:cholesterol
     hyperproteinemia:protein hyperchloremia:chloride hyperinsulinemia:insulin`,
  ],
  [
    'hypo-',
    (about) => `too little ${about} in the blood`,
    `hypoglycemia:sugar hypokalemia:potassium hyponatremia:sodium hypocalcemia:calcium hypophosphatemia:phosphate
     hypomagnesemia:magnesium hypouricemia:uric acid hypolipidemia:fat hypocholesterolemia:cholesterol
     hypoproteinemia:protein hypochloremia:chloride hypoinsulinemia:insulin`,
  ],
];

/** `word:about` pairs; an `about` may have several words. */
const parse = (words: string): { word: string; about: string }[] =>
  [...words.matchAll(/([a-z]+):([a-z ]+?)(?=\s+[a-z]+:|\s*$)/gs)].map(
    ([, word = '', about = '']) => ({ word, about: about.trim() }),
  );

export const TERMS: readonly Term[] = FAMILIES.flatMap(([ending, meaning, words]) =>
  parse(words).map(({ word, about }) => ({ word, ending, about, meaning: meaning(about) })),
);
