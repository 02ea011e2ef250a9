// Drugs by class, told by the stem of their (international nonproprietary) names: WHO, "The use of stems in the
// selection of INN for pharmaceutical substances". Only names that follow the rule; no name is part of another.

export interface DrugClass {
  /** The shared ending (or beginning, for `cef-`). */
  readonly stem: string;
  /** What the drugs are, as an answer. */
  readonly kind: string;
  /** What they are used for or do, to go after "are used to" or "is used to". */
  readonly use: string;
  readonly drugs: readonly string[];
}

const drugClass = (stem: string, kind: string, use: string, drugs: string): DrugClass => ({
  stem,
  kind,
  use,
  drugs: drugs.split(' '),
});

export const DRUG_CLASSES: readonly DrugClass[] = [
  drugClass(
    '-pril',
    'an ACE inhibitor',
    'lower the blood pressure and protect the kidneys',
    'captopril enalapril lisinopril ramipril benazepril fosinopril quinapril perindopril trandolapril moexipril cilazapril imidapril zofenopril spirapril',
  ),
  drugClass(
    '-sartan',
    'an angiotensin receptor blocker',
    'block the hormone angiotensin and lower the blood pressure',
    'losartan valsartan irbesartan candesartan olmesartan telmisartan eprosartan azilsartan fimasartan tasosartan',
  ),
  drugClass(
    '-olol',
    'a beta blocker',
    'slow the heart and lower the blood pressure',
    'atenolol metoprolol propranolol bisoprolol nadolol timolol pindolol acebutolol betaxolol carteolol esmolol nebivolol oxprenolol celiprolol landiolol penbutolol',
  ),
  drugClass(
    '-dipine',
    'a calcium channel blocker',
    'relax the arteries and lower the blood pressure',
    'amlodipine nifedipine felodipine isradipine nicardipine nimodipine nisoldipine lercanidipine lacidipine nitrendipine clevidipine benidipine cilnidipine manidipine',
  ),
  drugClass(
    '-vastatin',
    'a cholesterol-lowering drug',
    'lower the cholesterol made by the liver',
    'atorvastatin simvastatin rosuvastatin pravastatin fluvastatin lovastatin pitavastatin cerivastatin',
  ),
  drugClass(
    '-cillin',
    'a penicillin antibiotic',
    'kill bacteria by breaking their cell wall',
    'amoxicillin piperacillin ticarcillin dicloxacillin nafcillin mezlocillin azlocillin carbenicillin temocillin bacampicillin',
  ),
  drugClass(
    'cef-',
    'a cephalosporin antibiotic',
    'treat infections with bacteria',
    'cefazolin cefuroxime cefixime ceftriaxone cefepime cefaclor cefadroxil cefoxitin cefotaxime ceftazidime cefdinir cefprozil cefotetan ceftaroline cefditoren ceftibuten',
  ),
  drugClass(
    '-floxacin',
    'a quinolone antibiotic',
    'stop bacteria from copying their DNA',
    'ciprofloxacin levofloxacin moxifloxacin norfloxacin gemifloxacin gatifloxacin sparfloxacin lomefloxacin pefloxacin delafloxacin besifloxacin',
  ),
  drugClass(
    '-cycline',
    'a tetracycline antibiotic',
    'stop bacteria from making proteins',
    'doxycycline minocycline demeclocycline lymecycline sarecycline omadacycline eravacycline methacycline',
  ),
  drugClass(
    '-penem',
    'a carbapenem antibiotic',
    'treat severe infections in hospital',
    'imipenem meropenem ertapenem doripenem faropenem panipenem biapenem tebipenem',
  ),
  drugClass(
    '-conazole',
    'an azole antifungal',
    'treat infections with fungi',
    'fluconazole ketoconazole itraconazole voriconazole posaconazole miconazole econazole isavuconazole sertaconazole tioconazole oxiconazole efinaconazole sulconazole butoconazole luliconazole terconazole',
  ),
  drugClass(
    '-bendazole',
    'a drug against worms',
    'treat infections with worms',
    'albendazole mebendazole thiabendazole fenbendazole flubendazole triclabendazole oxibendazole',
  ),
  drugClass(
    '-quine',
    'an antimalarial drug',
    'prevent or treat malaria',
    'chloroquine primaquine mefloquine amodiaquine tafenoquine piperaquine',
  ),
  drugClass(
    '-vir',
    'an antiviral drug',
    'stop viruses from multiplying',
    'acyclovir ganciclovir oseltamivir ritonavir lopinavir darunavir atazanavir saquinavir nelfinavir indinavir famciclovir penciclovir zanamivir peramivir raltegravir dolutegravir entecavir remdesivir sofosbuvir tenofovir adefovir cidofovir tipranavir telaprevir boceprevir simeprevir molnupiravir letermovir',
  ),
  drugClass(
    '-prazole',
    'a proton pump inhibitor',
    'reduce the acid of the stomach',
    'omeprazole lansoprazole pantoprazole rabeprazole ilaprazole tenatoprazole',
  ),
  drugClass(
    '-tidine',
    'a histamine H2 blocker',
    'reduce the acid of the stomach',
    'cimetidine ranitidine famotidine nizatidine roxatidine lafutidine',
  ),
  drugClass(
    '-setron',
    'a serotonin blocker against vomiting',
    'prevent nausea and vomiting',
    'ondansetron granisetron dolasetron palonosetron tropisetron ramosetron',
  ),
  drugClass(
    '-triptan',
    'a migraine drug',
    'stop an attack of migraine',
    'sumatriptan rizatriptan zolmitriptan naratriptan almotriptan frovatriptan eletriptan',
  ),
  drugClass(
    '-azepam',
    'a benzodiazepine',
    'calm anxiety and stop seizures',
    'diazepam lorazepam clonazepam temazepam oxazepam nitrazepam flurazepam bromazepam prazepam halazepam tetrazepam quazepam',
  ),
  drugClass(
    '-barbital',
    'a barbiturate',
    'bring sleep or stop seizures',
    'phenobarbital pentobarbital secobarbital amobarbital butabarbital mephobarbital hexobarbital aprobarbital cyclobarbital',
  ),
  drugClass(
    '-caine',
    'a local anesthetic',
    'numb a part of the body',
    'lidocaine bupivacaine tetracaine ropivacaine mepivacaine prilocaine benzocaine articaine dibucaine etidocaine proparacaine oxybuprocaine',
  ),
  drugClass(
    '-curonium',
    'a muscle relaxant',
    'relax the muscles during surgery',
    'pancuronium vecuronium rocuronium pipecuronium rapacuronium',
  ),
  drugClass(
    '-gliptin',
    'a DPP-4 inhibitor for diabetes',
    'lower the blood sugar after meals',
    'sitagliptin saxagliptin linagliptin alogliptin vildagliptin gemigliptin teneligliptin anagliptin trelagliptin omarigliptin evogliptin',
  ),
  drugClass(
    '-gliflozin',
    'an SGLT2 inhibitor for diabetes',
    'let the kidneys pass sugar into the urine',
    'dapagliflozin empagliflozin canagliflozin ertugliflozin ipragliflozin tofogliflozin luseogliflozin sotagliflozin bexagliflozin remogliflozin',
  ),
  drugClass(
    '-glitazone',
    'an insulin sensitizer',
    'make the body answer better to insulin',
    'pioglitazone rosiglitazone troglitazone lobeglitazone ciglitazone rivoglitazone',
  ),
  drugClass(
    '-parin',
    'a heparin against clots',
    'prevent clots by injection under the skin',
    'enoxaparin dalteparin tinzaparin nadroparin bemiparin ardeparin certoparin reviparin parnaparin',
  ),
  drugClass(
    '-xaban',
    'a direct factor Xa inhibitor against clots',
    'prevent clots as a tablet',
    'rivaroxaban apixaban edoxaban betrixaban darexaban letaxaban',
  ),
  drugClass(
    '-dronate',
    'a bisphosphonate for the bones',
    'slow the loss of bone',
    'alendronate risedronate ibandronate zoledronate pamidronate etidronate clodronate tiludronate neridronate',
  ),
  drugClass(
    '-thiazide',
    'a thiazide diuretic',
    'make the kidneys pass more salt and water',
    'hydrochlorothiazide bendroflumethiazide methyclothiazide polythiazide trichlormethiazide cyclopenthiazide benzthiazide',
  ),
  drugClass(
    '-mab',
    'a monoclonal antibody',
    'bind one target in the body very exactly',
    'adalimumab infliximab rituximab trastuzumab bevacizumab cetuximab omalizumab denosumab natalizumab tocilizumab pembrolizumab nivolumab ipilimumab ustekinumab secukinumab alemtuzumab golimumab palivizumab eculizumab belimumab vedolizumab dupilumab atezolizumab durvalumab evolocumab alirocumab',
  ),
  drugClass(
    '-tinib',
    'a tyrosine kinase inhibitor',
    'block a signal inside the cells',
    'imatinib gefitinib erlotinib sunitinib lapatinib dasatinib nilotinib bosutinib afatinib osimertinib axitinib crizotinib ponatinib ruxolitinib tofacitinib ibrutinib lenvatinib ceritinib lorlatinib brigatinib neratinib baricitinib',
  ),
  drugClass(
    '-rubicin',
    'an anthracycline against cancer',
    'damage the DNA of cancer cells',
    'doxorubicin daunorubicin epirubicin idarubicin pirarubicin valrubicin aclarubicin amrubicin',
  ),
  drugClass(
    '-parib',
    'a PARP inhibitor against cancer',
    'keep cancer cells from repairing their DNA',
    'olaparib niraparib rucaparib talazoparib veliparib pamiparib',
  ),
  drugClass(
    '-terol',
    'a beta agonist for asthma',
    'open the airways of the lungs',
    'salmeterol formoterol vilanterol indacaterol olodaterol bambuterol fenoterol procaterol pirbuterol reproterol',
  ),
  drugClass(
    '-lukast',
    'a leukotriene blocker for asthma',
    'calm the inflammation of the airways',
    'montelukast zafirlukast pranlukast cinalukast verlukast pobilukast',
  ),
  drugClass(
    '-asone',
    'a corticosteroid',
    'calm inflammation',
    'dexamethasone betamethasone fluticasone mometasone beclomethasone clobetasone paramethasone desoximetasone',
  ),
  drugClass(
    '-profen',
    'a propionic acid painkiller',
    'relieve pain and fever',
    'ibuprofen ketoprofen flurbiprofen fenoprofen pirprofen indoprofen loxoprofen suprofen zaltoprofen pranoprofen',
  ),
  drugClass(
    '-coxib',
    'a COX-2 inhibitor',
    'relieve pain with less harm to the stomach',
    'celecoxib rofecoxib etoricoxib valdecoxib parecoxib lumiracoxib polmacoxib',
  ),
  drugClass(
    '-zosin',
    'an alpha blocker',
    'relax the muscles of the prostate and the vessels',
    'prazosin doxazosin terazosin alfuzosin trimazosin bunazosin',
  ),
  drugClass(
    '-afil',
    'a PDE5 inhibitor',
    'widen certain blood vessels',
    'sildenafil tadalafil vardenafil avanafil udenafil',
  ),
  drugClass(
    '-vaptan',
    'a vasopressin blocker',
    'help the kidneys pass water',
    'tolvaptan conivaptan lixivaptan satavaptan mozavaptan',
  ),
  drugClass(
    '-prost',
    'a prostaglandin',
    'lower the pressure of the eye or act on the womb or the vessels',
    'latanoprost bimatoprost travoprost tafluprost iloprost carboprost gemeprost beraprost',
  ),
  drugClass(
    '-stigmine',
    'a cholinesterase inhibitor',
    'strengthen the signal from nerve to muscle',
    'neostigmine pyridostigmine physostigmine rivastigmine distigmine',
  ),
  drugClass(
    '-relin',
    'a GnRH agonist',
    'act on the hormones of the pituitary gland',
    'leuprorelin goserelin triptorelin buserelin nafarelin histrelin deslorelin',
  ),
  drugClass(
    '-astine',
    'an antihistamine',
    'relieve hay fever and itching',
    'azelastine ebastine bepotastine epinastine clemastine emedastine mizolastine bilastine temelastine',
  ),
];
