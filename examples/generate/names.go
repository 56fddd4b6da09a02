package main

// culture holds the names and the homes of the customers of one language.
type culture struct {
	language string
	share    int      // customers per hundred
	regional []string // tags that some of them give instead of the bare language
	zones    []string // the first ones are the likeliest
	regions  []string // where their servers stand
	first    []string // "written" or "written:latin", the latter for the address
	last     []string
	family   bool     // the family name comes first
	firms    []string // a family's businesses; %s is its name
	domains  []string
}

// cultures are invented people: common given and family names of a language, put together by chance.
var cultures = []culture{
	{
		language: "en", share: 27, regional: []string{"en-GB", "en-US"},
		zones:   []string{"Europe/London", "America/New_York", "Asia/Dubai"},
		regions: []string{"eu-north", "us-east"},
		first:   []string{"Amelia", "Oliver", "Grace", "Harry", "Nora", "Samuel", "Ruth", "Theo", "Priya", "Callum", "Maeve", "Isaac", "Hazel", "Omar", "Edith", "Jonah", "Leila", "Frank", "Tessa", "Wendell"},
		last:    []string{"Ashdown", "Barlow", "Carver", "Dunmore", "Ellery", "Fairclough", "Greaves", "Hollis", "Ingram", "Jessop", "Kendrick", "Lockwood", "Marlowe", "Norcross", "Okafor", "Pemberton", "Quigley", "Rowntree", "Sandhu", "Thackeray", "Underhill", "Vickers", "Whitcombe", "Yardley"},
		firms:   []string{"%s & Daughters Ltd", "%s Joinery", "The %s Foundation", "%s Online"},
		domains: []string{"larkmead.example", "stonegate.example", "copperfield-press.example", "example.com", "example.org"},
	},
	{
		language: "nl", share: 20, regional: []string{"nl-NL", "nl-BE"},
		zones:   []string{"Europe/Amsterdam"},
		regions: []string{"eu-west", "eu-north"},
		first:   []string{"Sanne", "Daan", "Fleur", "Bram", "Anouk", "Joost", "Lotte", "Sjoerd", "Femke", "Ruben", "Marijke", "Thijs", "Willemijn", "Koen", "Ilse", "Jelle", "Noor", "Pieter", "Roos", "Gijs"},
		last:    []string{"de Vries", "van Dijk", "Bakker", "Jansen", "Visser", "Smit", "Meijer", "de Boer", "Mulder", "Bos", "Vos", "Peters", "Hendriks", "van Leeuwen", "Dekker", "Brouwer", "de Wit", "Dijkstra", "Kuipers", "Postma", "van der Meer", "Schouten", "Willems", "Hoekstra"},
		firms:   []string{"Bakkerij %s", "%s Advies B.V.", "Stichting %s", "Webwinkel %s"},
		domains: []string{"grachtenhuis.example", "polderlicht.example", "fietsenmaker.example", "example.net"},
	},
	{
		language: "de", share: 16, regional: []string{"de-CH", "de-AT", "de-DE"},
		zones:   []string{"Europe/Berlin", "Europe/Zurich"},
		regions: []string{"eu-central"},
		first:   []string{"Anna", "Jürgen", "Katharina", "Lukas", "Sabine", "Matthias", "Jörg", "Heike", "Björn", "Ursula", "Florian", "Günther", "Lena", "Moritz", "Renate", "Stefan", "Käthe", "Tobias", "Vroni", "Wolfgang"},
		last:    []string{"Berg", "Müller", "Schäfer", "Koch", "Krüger", "Hartmann", "Lange", "Weiß", "Vogel", "Jäger", "Brandt", "Schröder", "Winkler", "Lorenz", "Böhm", "Franke", "Albrecht", "Sommer", "Kühn", "Pohl", "Engel", "Horn", "Busch", "Thommen"},
		firms:   []string{"Schreinerei %s", "%s & Söhne GmbH", "Praxis %s", "%s Versand"},
		domains: []string{"waldrand.example", "seeblick.example", "bücher.example", "example.net"},
	},
	{
		language: "fr", share: 11, regional: []string{"fr-FR", "fr-CA"},
		zones:   []string{"Europe/Paris"},
		regions: []string{"eu-west"},
		first:   []string{"Camille", "Étienne", "Aurélie", "Thibault", "Manon", "Rémi", "Solène", "Gaspard", "Inès", "Loïc", "Élodie", "Baptiste", "Océane", "Fabrice", "Maëlle", "Yannick", "Corinne", "Hugo", "Noémie", "Sylvain"},
		last:    []string{"Lefèvre", "Moreau", "Girard", "Lambert", "Rousseau", "Fontaine", "Chevalier", "Marchand", "Dumont", "Renaud", "Béranger", "Gauthier", "Perrin", "Colin", "Lemaire", "Barbier", "Charpentier", "Desjardins", "Vasseur", "Leclerc", "Aubert", "Poulain", "Masson", "Guérin"},
		firms:   []string{"Boulangerie %s", "Atelier %s", "%s Conseil", "Éditions %s"},
		domains: []string{"vieux-port.example", "atelier-bleu.example", "example.org"},
	},
	{
		language: "es", share: 9, regional: []string{"es-MX", "es-ES"},
		zones:   []string{"Europe/Madrid", "America/Mexico_City"},
		regions: []string{"us-south", "eu-west"},
		first:   []string{"Lucía", "Mateo", "Ximena", "Álvaro", "Renata", "Íñigo", "Valeria", "Rodrigo", "Jimena", "Andrés", "Paloma", "Joaquín", "Marisol", "Emiliano", "Noelia", "Rubén", "Citlali", "Gonzalo", "Pilar", "Tomás"},
		last:    []string{"García", "Ibáñez", "Muñoz", "Navarro", "Ortega", "Peña", "Quintero", "Rivas", "Salcedo", "Treviño", "Urrutia", "Valdés", "Zamora", "Cárdenas", "Domínguez", "Esquivel", "Figueroa", "Herrera", "Jurado", "Luna", "Montes", "Núñez", "Olvera", "Prieto"},
		firms:   []string{"Panadería %s", "Hermanos %s S.A.", "Librería %s", "%s Consultores"},
		domains: []string{"casa-azul.example", "mercado-central.example", "example.com"},
	},
	{
		language: "sv", share: 7, regional: []string{"sv-SE", "sv-FI"},
		zones:   []string{"Europe/Stockholm"},
		regions: []string{"eu-north"},
		first:   []string{"Astrid", "Björn", "Elsa", "Gustav", "Ingrid", "Håkan", "Linnéa", "Måns", "Saga", "Torbjörn", "Ebba", "Oskar", "Märta", "Viggo", "Åsa", "Nils", "Freja", "Göran", "Tuva", "Ulf"},
		last:    []string{"Andersson", "Bergström", "Dahlgren", "Ekström", "Forsberg", "Gustafsson", "Hedlund", "Isaksson", "Jönsson", "Karlsson", "Lindqvist", "Månsson", "Nyström", "Öberg", "Palm", "Rosén", "Sjöberg", "Törnqvist", "Ullman", "Wallin", "Åkesson", "Sandberg", "Holm", "Nordin"},
		firms:   []string{"Bageri %s", "%s Bygg AB", "Stiftelsen %s", "%s Förlag"},
		domains: []string{"norrsken.example", "skärgård.example", "example.net"},
	},
	{
		language: "ar", share: 5, regional: []string{"ar-EG", "ar-AE"},
		zones:   []string{"Africa/Cairo", "Asia/Dubai"},
		regions: []string{"me-central"},
		first:   []string{"محمد:mohamed", "فاطمة:fatima", "أحمد:ahmed", "ليلى:layla", "يوسف:youssef", "مريم:maryam", "خالد:khaled", "نور:nour", "عمر:omar", "سلمى:salma", "حسن:hassan", "هدى:huda"},
		last:    []string{"المنصوري:almansouri", "حداد:haddad", "النجار:alnajjar", "السيد:elsayed", "الخطيب:alkhatib", "منصور:mansour", "الشامي:alshami", "فارس:fares", "عبد الله:abdullah", "الحكيم:alhakim", "سالم:salem", "رشدي:rushdi"},
		firms:   []string{"مخبز %s", "مكتبة %s", "مؤسسة %s", "متجر %s"},
		domains: []string{"al-manara.example", "nakheel.example", "example.org"},
	},
	{
		language: "ja", share: 5, regional: []string{"ja-JP"},
		zones:   []string{"Asia/Tokyo"},
		regions: []string{"ap-east"},
		first:   []string{"健太:kenta", "陽菜:hina", "大輔:daisuke", "美咲:misaki", "翔:sho", "由美子:yumiko", "拓也:takuya", "葵:aoi", "直樹:naoki", "千尋:chihiro", "悠斗:yuto", "恵:megumi"},
		last:    []string{"佐藤:sato", "鈴木:suzuki", "高橋:takahashi", "田中:tanaka", "渡辺:watanabe", "伊藤:ito", "山本:yamamoto", "中村:nakamura", "小林:kobayashi", "加藤:kato", "吉田:yoshida", "松本:matsumoto"},
		family:  true,
		firms:   []string{"%s製パン", "株式会社%s商店", "%s書店", "%s設計事務所"},
		domains: []string{"hanabi.example", "sakura-mise.example", "example.com"},
	},
}
