/** A part of the world the demo's customers live in. A name not in Latin letters has its spelling in them after a bar. */
export interface Region {
  language: string;
  /** IANA zone and a city people would name there. */
  places: [zone: string, city: string][];
  firstNames: string[];
  lastNames: string[];
  /** How many of a hundred customers live here. */
  share: number;
}

const english = {
  firstNames: words(
    'Olivia Liam Emma Noah Ava Ethan Mia Lucas Grace Henry Chloe Jack Ruby Owen Zoe Caleb Nora Isaac Hazel Miles',
  ),
  lastNames: words(
    'Baker Carter Doyle Ellis Foster Grant Hayes Irwin Jordan Keller Lawson Mercer Norris Parker Quinn Reed Sutton Turner Walsh Young',
  ),
};

const spanish = {
  firstNames: words(
    'Lucía Mateo Sofía Hugo Valentina Diego Camila Joaquín Elena Andrés Paula Tomás Ximena Bruno Inés Rafael Julieta Iván Noelia Martín',
  ),
  lastNames: words(
    'García Fernández Muñoz Castillo Vega Ibáñez Rojas Peña Salazar Núñez Cordero Molina Aguilar Bravo Cárdenas Duarte Espinoza Fuentes Gallardo Herrera',
  ),
};

const portuguese = {
  firstNames: words(
    'Ana João Beatriz Miguel Mariana Tiago Letícia Rafael Inês Gustavo Larissa Duarte Helena Caio Joana Renato Camila Vasco Luísa Otávio',
  ),
  lastNames: words(
    'Silva Souza Almeida Carvalho Gonçalves Ribeiro Teixeira Monteiro Araújo Barbosa Cardoso Duarte Esteves Figueiredo Magalhães Nogueira Pacheco Queiroz Rocha Vasconcelos',
  ),
};

const french = {
  firstNames: words(
    'Camille Louis Chloé Gabriel Zoé Arthur Inès Raphaël Léa Théo Manon Hugo Élise Jules Anaïs Noé Margaux Bastien Clémence Rémi',
  ),
  lastNames: words(
    'Martin Bernard Lefèvre Moreau Girard Rousseau Fontaine Chevalier Gauthier Perrin Marchand Dufour Blanchard Renaud Lacroix Barbier Colin Fabre Guérin Noël',
  ),
};

const arabic = {
  firstNames: words(
    'ليلى|Layla عمر|Omar مريم|Maryam يوسف|Yusuf نور|Nour خالد|Khalid سلمى|Salma طارق|Tariq هدى|Huda سامي|Sami رنا|Rana زياد|Ziad',
  ),
  lastNames: words(
    'حداد|Haddad منصور|Mansour خليل|Khalil نجار|Najjar صالح|Saleh فارس|Fares عبود|Abboud قاسم|Qasim رشيد|Rashid شاهين|Shahin',
  ),
};

/** Where the demo's 2,000 customers live: every offset in use has somebody. */
export const regions: Region[] = [
  {
    ...english,
    language: 'en-US',
    share: 16,
    places: [
      ['America/New_York', 'New York'],
      ['America/Chicago', 'Chicago'],
      ['America/Denver', 'Denver'],
      ['America/Phoenix', 'Phoenix'],
      ['America/Los_Angeles', 'Seattle'],
      ['America/Anchorage', 'Anchorage'],
      ['Pacific/Honolulu', 'Honolulu'],
    ],
  },
  {
    ...english,
    language: 'en-CA',
    share: 4,
    places: [
      ['America/Toronto', 'Toronto'],
      ['America/Vancouver', 'Vancouver'],
      ['America/Halifax', 'Halifax'],
      ['America/St_Johns', "St John's"],
      ['America/Regina', 'Regina'],
    ],
  },
  {
    ...english,
    language: 'en-GB',
    share: 8,
    places: [
      ['Europe/London', 'London'],
      ['Europe/Dublin', 'Dublin'],
      ['Africa/Lagos', 'Lagos'],
      ['Africa/Accra', 'Accra'],
      ['Africa/Johannesburg', 'Cape Town'],
      ['Africa/Nairobi', 'Nairobi'],
      ['Asia/Singapore', 'Singapore'],
    ],
  },
  {
    ...english,
    language: 'en-AU',
    share: 6,
    places: [
      ['Australia/Sydney', 'Sydney'],
      ['Australia/Brisbane', 'Brisbane'],
      ['Australia/Adelaide', 'Adelaide'],
      ['Australia/Darwin', 'Darwin'],
      ['Australia/Perth', 'Perth'],
      ['Australia/Eucla', 'Eucla'],
      ['Australia/Lord_Howe', 'Lord Howe Island'],
    ],
  },
  {
    ...english,
    language: 'en-NZ',
    share: 3,
    places: [
      ['Pacific/Auckland', 'Auckland'],
      ['Pacific/Chatham', 'Waitangi'],
      ['Pacific/Fiji', 'Suva'],
      ['Pacific/Tongatapu', 'Nukuʻalofa'],
      ['Pacific/Apia', 'Apia'],
      ['Pacific/Kiritimati', 'London, Kiritimati'],
      ['Pacific/Pago_Pago', 'Pago Pago'],
      ['Pacific/Port_Moresby', 'Port Moresby'],
      ['Pacific/Guadalcanal', 'Honiara'],
      ['Pacific/Norfolk', 'Kingston'],
    ],
  },
  {
    ...spanish,
    language: 'es-MX',
    share: 9,
    places: [
      ['America/Mexico_City', 'Ciudad de México'],
      ['America/Tijuana', 'Tijuana'],
      ['America/Bogota', 'Bogotá'],
      ['America/Lima', 'Lima'],
      ['America/Caracas', 'Caracas'],
      ['America/La_Paz', 'La Paz'],
      ['America/Santiago', 'Santiago'],
      ['America/Argentina/Buenos_Aires', 'Buenos Aires'],
      ['America/Asuncion', 'Asunción'],
      ['America/Montevideo', 'Montevideo'],
      ['Pacific/Easter', 'Hanga Roa'],
      ['Pacific/Galapagos', 'Puerto Ayora'],
    ],
  },
  {
    ...spanish,
    language: 'es-ES',
    share: 5,
    places: [
      ['Europe/Madrid', 'Madrid'],
      ['Atlantic/Canary', 'Las Palmas'],
    ],
  },
  {
    ...portuguese,
    language: 'pt-BR',
    share: 7,
    places: [
      ['America/Sao_Paulo', 'São Paulo'],
      ['America/Manaus', 'Manaus'],
      ['America/Rio_Branco', 'Rio Branco'],
      ['America/Noronha', 'Fernando de Noronha'],
    ],
  },
  {
    ...portuguese,
    language: 'pt-PT',
    share: 3,
    places: [
      ['Europe/Lisbon', 'Lisboa'],
      ['Atlantic/Azores', 'Ponta Delgada'],
      ['Atlantic/Cape_Verde', 'Praia'],
      ['Africa/Maputo', 'Maputo'],
    ],
  },
  {
    ...french,
    language: 'fr-FR',
    share: 6,
    places: [
      ['Europe/Paris', 'Lyon'],
      ['Europe/Brussels', 'Bruxelles'],
      ['America/Montreal', 'Montréal'],
      ['America/Martinique', 'Fort-de-France'],
      ['Indian/Reunion', 'Saint-Denis'],
      ['Pacific/Noumea', 'Nouméa'],
      ['Pacific/Marquesas', 'Taiohae'],
      ['Pacific/Tahiti', 'Papeete'],
      ['Pacific/Gambier', 'Rikitea'],
      ['Africa/Abidjan', 'Abidjan'],
    ],
  },
  {
    language: 'de-DE',
    share: 7,
    firstNames: words(
      'Anna Felix Lena Jonas Mia Paul Greta Max Frieda Moritz Jürgen Käthe Sören Björn Marie Tobias Ida Lukas Nele Till',
    ),
    lastNames: words(
      'Müller Schäfer Köhler Weber Wagner Becker Hoffmann Schröder Krüger Böhm Vogel Brandt Lorenz Groß Ziegler Seidel Busch Kühn Pohl Arnold',
    ),
    places: [
      ['Europe/Berlin', 'Leipzig'],
      ['Europe/Vienna', 'Wien'],
      ['Europe/Zurich', 'Zürich'],
    ],
  },
  {
    language: 'pl-PL',
    share: 3,
    firstNames: words('Zofia Jakub Hanna Szymon Łucja Wojciech Małgorzata Paweł Kinga Stanisław'),
    lastNames: words(
      'Kowalska Wiśniewski Dąbrowska Zieliński Wójcik Kamińska Szymański Woźniak Kozłowska Jankowski',
    ),
    places: [['Europe/Warsaw', 'Kraków']],
  },
  {
    language: 'uk-UA',
    share: 2,
    firstNames: words(
      'Олена|Olena Андрій|Andrii Ірина|Iryna Тарас|Taras Оксана|Oksana Богдан|Bohdan',
    ),
    lastNames: words(
      'Шевченко|Shevchenko Коваленко|Kovalenko Бондар|Bondar Мельник|Melnyk Ткачук|Tkachuk',
    ),
    places: [['Europe/Kyiv', 'Київ']],
  },
  {
    language: 'tr-TR',
    share: 2,
    firstNames: words('Elif Mehmet Zeynep Emre Defne Çağlar Ayşe Burak Şule Ömer'),
    lastNames: words('Yılmaz Kaya Demir Çelik Şahin Yıldız Öztürk Aydın Arslan Doğan'),
    places: [['Europe/Istanbul', 'İstanbul']],
  },
  {
    ...arabic,
    language: 'ar-EG',
    share: 4,
    places: [
      ['Africa/Cairo', 'القاهرة'],
      ['Africa/Casablanca', 'الدار البيضاء'],
      ['Asia/Beirut', 'بيروت'],
      ['Asia/Riyadh', 'الرياض'],
      ['Asia/Dubai', 'دبي'],
    ],
  },
  {
    language: 'fa-IR',
    share: 1,
    firstNames: words('آرش|Arash شیرین|Shirin کاوه|Kaveh نسرین|Nasrin'),
    lastNames: words('کریمی|Karimi رضایی|Rezaei مرادی|Moradi احمدی|Ahmadi'),
    places: [
      ['Asia/Tehran', 'تهران'],
      ['Asia/Kabul', 'کابل'],
    ],
  },
  {
    language: 'en-IN',
    share: 6,
    firstNames: words(
      'Aarav Diya Rohan Ananya Vikram Meera Arjun Kavya Nikhil Priya Siddharth Isha',
    ),
    lastNames: words('Sharma Iyer Patel Reddy Nair Banerjee Kulkarni Chopra Menon Desai Rao Joshi'),
    places: [
      ['Asia/Kolkata', 'Bengaluru'],
      ['Asia/Colombo', 'Colombo'],
      ['Asia/Karachi', 'Karachi'],
      ['Asia/Kathmandu', 'Kathmandu'],
      ['Asia/Dhaka', 'Dhaka'],
      ['Indian/Maldives', 'Malé'],
    ],
  },
  {
    language: 'ja-JP',
    share: 3,
    firstNames: words(
      'さくら|Sakura 蓮|Ren 陽菜|Hina 悠斗|Yuto 美咲|Misaki 大輝|Daiki 結衣|Yui 翔太|Shota',
    ),
    lastNames: words(
      '佐藤|Sato 鈴木|Suzuki 高橋|Takahashi 田中|Tanaka 渡辺|Watanabe 山本|Yamamoto 中村|Nakamura 小林|Kobayashi',
    ),
    places: [['Asia/Tokyo', '東京']],
  },
  {
    language: 'zh-CN',
    share: 2,
    firstNames: words('伟|Wei 芳|Fang 敏|Min 静|Jing 磊|Lei 洋|Yang 娜|Na 杰|Jie'),
    lastNames: words('王|Wang 李|Li 张|Zhang 刘|Liu 陈|Chen 杨|Yang 赵|Zhao 黄|Huang'),
    places: [
      ['Asia/Shanghai', '上海'],
      ['Asia/Hong_Kong', '香港'],
      ['Asia/Taipei', '臺北'],
    ],
  },
  {
    language: 'id-ID',
    share: 2,
    firstNames: words('Putri Budi Dewi Agus Siti Rizky Ayu Bayu Intan Eko'),
    lastNames: words('Santoso Wijaya Pratama Lestari Nugroho Hartono Siregar Kusuma Saputra Halim'),
    places: [
      ['Asia/Jakarta', 'Jakarta'],
      ['Asia/Makassar', 'Makassar'],
      ['Asia/Jayapura', 'Jayapura'],
      ['Asia/Yangon', 'Yangon'],
    ],
  },
  {
    language: 'en-GL',
    share: 1,
    firstNames: words('Aviaja Malik Pipaluk Inuk Nivi Minik'),
    lastNames: words('Petersen Olsen Kleist Lynge Berthelsen Møller'),
    places: [
      ['America/Nuuk', 'Nuuk'],
      ['Atlantic/Reykjavik', 'Reykjavík'],
      ['Asia/Vladivostok', 'Vladivostok'],
      ['Asia/Kamchatka', 'Petropavlovsk-Kamchatsky'],
      ['Asia/Almaty', 'Almaty'],
      ['Asia/Yekaterinburg', 'Yekaterinburg'],
    ],
  },
];

function words(text: string): string[] {
  return text.split(' ');
}
