"""The words of which samples are made: people, places, things. Made up here; no real person is meant."""

from gnomon.data.synthesis.draw import Draw

GIVEN = tuple(
    """Adaeze Aiko Aleksander Amara Anahera Anouk Arash Astrid Ayelet Babak Beatriz Benedikt Bilal Birgit Bohdan Camila
    Caoimhe Chidi Chinasa Dagny Dalia Daniyar Deepa Dimitra Eero Efua Eilidh Emeka Emre Esperanza Farah Fatima Felipe
    Fenna Gabriela Gethin Goran Gulnara Hamza Hanna Haruki Henrike Hoa Hye-jin Ibrahim Ifeoma Ilse Imani Ines Ioana
    Isidora Ivo Jakub Jamila Jing Joao Jorunn Kalinda Kamala Katarzyna Keanu Kenji Kerstin Khadija Kofi Kwame Lakshmi
    Lamin Laszlo Leilani Lien Linnea Lucia Madina Magnus Mahmoud Makoa Malika Manuel Marisol Mateo Meera Mehmet Mihai
    Minh Mireille Moana Murat Nadia Naoki Nasrin Ngozi Nikolai Nilufar Nuria Oksana Olumide Omar Orsolya Oyelaran Paloma
    Parvati Pavel Petra Pilar Piotr Priya Quentin Rafael Rana Ravi Rosalind Ruta Sabine Saoirse Selam Sigrid Siobhan
    Solveig Sunita Suresh Taavi Takumi Tamar Tariq Temitope Thandiwe Tomasz Tuan Uchenna Ulrike Valentina Vasil Wanjiru
    Wei Xiomara Yael Yasmin Yusuf Zainab Zanele Zbigniew Zofia""".split()
)
FAMILY = tuple(
    """Abara Achterberg Adeyemi Aguilar Akinola Alvarsson Amanov Andrade Asante Bakker Banerjee Barzani Bekele Bergstrom
    Bielawski Boateng Calloway Castellanos Cheptoo Chowdhury Dalgaard Danjuma Demirci Dimitrov Dragomir Eklund Endo
    Espinoza Fagerholm Ferreira Fonoti Gallardo Georgiou Ghorbani Gunnarsdottir Haddad Hakobyan Hamasaki Horvat
    Ishikawa Jankauskas Joubert Kamau Kapoor Karimov Kealoha Kowalczyk Kuznetsova Lagerlund Lindqvist Mahlangu
    Mansouri Marchetti Mbeki Moreau Mukherjee Nakagawa Ndiaye Nguyen Novotny Obradovic Odhiambo Okonkwo Olafsen
    Oyarzun Pahlavan Papadakis Paszek Pereira Petrosyan Quispe Rahimi Rautio Rezaei Rosenthal Saarinen Salazar
    Sandoval Schreiber Sesay Shevchenko Silva Sokolova Sorensen Suleiman Szabo Tadesse Takahashi Tamihana Tanaka
    Teixeira Tembo Thiessen Tran Ueda Vasquez Vermeulen Villanueva Waweru Weatherby Xhaka Yamamoto Yilmaz Zelenka Zhao
    Zielinska""".split()
)
TOWNS = tuple(
    """Alderwick Ambrosa Ashkaval Balmora Belquin Brannock Calverra Carrowmere Casteldune Dornhaven Drumlea Eastmarrow
    Elverum
    Fenwick Ferrolana Galdstrand Glenarvon Halvorsund Harrowgate Ilmenau Isgard Jarrowby Kaldvik Karzeh Kestrel Lindholm
    Lorvane Lundsborg Marisca Merrow Mirabad Montclare Nerezza Norrvik Oakhollow Olvena Ostrel Pellworm Penhallow
    Quillon Ravensholt Rosmere Saltash Sandviken Selborne Silverlode Tarnow Thornbury Torvaen Ulverton Umbrel Valdoro
    Varnholm Velden Westmarch Wexcombe Yarrowdale Zelmira""".split()
)

THINGS = (
    ("passport", "passports"), ("tin of buttons", "tins of buttons"), ("brass key", "brass keys"),
    ("silver whistle", "silver whistles"), ("pocket watch", "pocket watches"),
    ("fountain pen", "fountain pens"), ("bar of chocolate", "bars of chocolate"), ("harmonica", "harmonicas"),
    ("train ticket", "train tickets"), ("love letter", "love letters"), ("torch", "torches"), ("compass", "compasses"),
    ("tape measure", "tape measures"), ("jar of honey", "jars of honey"), ("ring of keys", "rings of keys"),
    ("pair of scissors", "pairs of scissors"), ("wedding ring", "wedding rings"), ("camera", "cameras"),
    ("birthday present", "birthday presents"), ("map", "maps"), ("magnifying glass", "magnifying glasses"),
    ("notebook", "notebooks"), ("ball of wool", "balls of wool"), ("necklace", "necklaces"),
    ("screwdriver", "screwdrivers"), ("diary", "diaries"), ("seed packet", "seed packets"), ("medal", "medals"),
    ("ocarina", "ocarinas"), ("envelope", "envelopes"),
)  # fmt: skip
HOLDERS = (
    "wicker basket", "desk drawer", "green suitcase", "biscuit tin", "wooden chest", "leather satchel", "blue cupboard",
    "tool box", "laundry hamper", "piano stool", "hat box", "canvas rucksack", "metal locker", "sewing box",
    "bread bin",
    "filing cabinet", "toy crate", "grey backpack", "old trunk", "kitchen drawer", "cake tin", "linen chest",
    "shoe box", "medicine cabinet", "picnic hamper", "violin case", "red bucket with a lid", "black briefcase",
)  # fmt: skip
ROOMS = (
    "kitchen", "library", "workshop", "attic", "living room", "studio", "greenhouse", "staff room", "cellar",
    "conservatory", "storeroom", "classroom", "boathouse", "garage", "dining room", "laundry room", "music room",
)  # fmt: skip
SEEN = (
    "teapot", "lamp", "vase", "candle", "radio", "globe", "clock", "cactus", "statuette", "sugar bowl", "hourglass",
    "music box", "fruit bowl", "photograph", "typewriter", "bell", "pepper mill", "birdcage", "abacus", "jug",
)  # fmt: skip
DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
    "December",
)  # fmt: skip
SMALL = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")


def people(draw: Draw, count: int) -> list[str]:
    """Return given names that do not begin alike, so that nobody takes one for another."""
    found: list[str] = []
    while len(found) < count:
        name = draw.pick(GIVEN)
        if all(name[:2] != other[:2] for other in found):
            found.append(name)
    return found


def full_name(draw: Draw) -> str:
    """Return a given name and a family name."""
    return f"{draw.pick(GIVEN)} {draw.pick(FAMILY)}"


def day_text(year: int, month: int, day: int) -> str:
    """Return a date as `5 March 2021`."""
    return f"{day} {MONTHS[month - 1]} {year}"


def clock(minutes: int) -> str:
    """Return minutes after midnight as `9:05`."""
    return f"{minutes // 60}:{minutes % 60:02}"
