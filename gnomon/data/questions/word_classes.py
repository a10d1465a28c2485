"""Classes of English words by what questions ask for: a class a paragraph, its name first.

Written by hand from the meaning of the answer types of Li and Roth. A word may be of several classes.
"""

WORD_CLASSES = """
person: person man woman boy girl guy lady gentleman child baby people individual someone human hero heroine villain
  celebrity star figure character inventor discoverer founder creator author writer poet novelist playwright dramatist
  essayist journalist reporter columnist editor publisher critic biographer historian philosopher scientist physicist
  chemist biologist astronomer mathematician geologist botanist psychologist psychiatrist economist engineer architect
  designer astronaut cosmonaut pilot aviator navigator explorer adventurer conqueror pioneer settler sailor seaman
  captain admiral general colonel major lieutenant sergeant soldier warrior commander officer marine spy agent
  detective sheriff cop policeman outlaw bandit gangster mobster criminal murderer killer assassin thief robber pirate
  gunfighter prisoner actor actress comedian comic performer entertainer singer vocalist musician composer conductor
  pianist violinist guitarist drummer songwriter rapper dancer ballerina choreographer painter artist sculptor
  photographer cartoonist illustrator director producer filmmaker screenwriter model host hostess anchor announcer
  newscaster broadcaster athlete player pitcher catcher quarterback coach manager trainer jockey boxer wrestler golfer
  swimmer skater gymnast runner sprinter racer driver cyclist skier champion winner loser batter hitter slugger
  goalkeeper referee umpire king queen prince princess emperor empress czar tsar monarch ruler duke duchess earl count
  baron lord knight pharaoh sultan shah chief chieftain leader dictator president premier chancellor minister senator
  congressman congresswoman representative governor mayor secretary ambassador diplomat politician statesman lawmaker
  candidate nominee judge justice lawyer attorney prosecutor pope bishop cardinal priest monk nun saint apostle
  disciple prophet rabbi preacher evangelist god goddess deity nymph titan angel devil demon wizard witch magician
  giant doctor physician surgeon nurse dentist patient professor teacher educator student scholar graduate dean
  principal businessman entrepreneur industrialist tycoon executive chairman ceo boss owner employer employee worker
  millionaire billionaire banker financier merchant salesman trader chef cook butler maid servant slave farmer rancher
  cowboy hunter fisherman miner carpenter activist reformer feminist revolutionary rebel patriot crusader suffragette
  abolitionist spokesman spokesperson spokeswoman friend partner sidekick companion lover mistress boyfriend
  girlfriend twin couple mascot puppet dummy robot cartoon citizen native american englishman frenchman german italian
  russian jew greek roman indian survivor victim witness passenger heir heiress nobleman laureate recipient virgin
  ventriloquist tenor soprano baritone bride groom sponsor narrator namesake bachelor expert genius personality
  impresario balloonist mountaineer climber daredevil stuntman acrobat clown comedienne cellist maestro resident
  suspect hostage crewman defendant inmate captive newsman weatherman playmate stripper prostitute beauty blonde
  brunette redhead moviemaker astrologer biochemist physiologist anthropologist archaeologist sociologist linguist
  theologian lyricist librettist arranger bandleader soloist footballer midfielder linebacker shortstop outfielder
  cricketer bowler rookie veteran bodyguard guardian guard chauffeur housekeeper babysitter nanny governess landlord
  tenant neighbor hippie guru mystic psychic seer oracle bard minstrel troubadour jester fool swordsman musketeer
  gladiator samurai ninja archer marksman sniper rifleman gunman hitman kidnapper rapist terrorist traitor defector
  fugitive smuggler bootlegger swindler impostor gambler dealer magnate mogul socialite philanthropist benefactor
  patron collector curator librarian printer caliph ayatollah imam lama khan viceroy regent marquis viscount prodigy
  vampire werewolf ghost monster mermaid goblin elf dwarf sorcerer superhero crimefighter advocate great ace hopeful
  contestant competitor opponent rival predecessor successor appointee aide adviser consultant analyst strategist
  theorist thinker naturalist conservationist environmentalist pacifist anarchist communist nazi fascist dissident
  exile refugee immigrant emigrant pilgrim puritan colonist frontiersman trapper lawman ranger marshal constable
  policewoman inspector investigator sleuth crook con first member moonwalker earthling alien toddler teenager adult
  youngster kid schoolboy orphan midget strongman bodybuilder weightlifter hurdler jumper thrower decathlete
  marathoner swordfighter matador bullfighter trumpeter saxophonist bassist organist flutist fiddler crooner diva
  superstar idol sex symbol pinup supermodel moviegoer correspondent anchorman anchorwoman commentator sportscaster
  emcee rocker beatle monkee stooge brother godfather racketeer kingpin tyrant despot mastermind originator formulator
  proponent exponent translator interpreter compiler lexicographer grammarian cartographer surveyor craftsman
  blacksmith goldsmith tailor cobbler baker brewer butcher grocer barber hairdresser plumber electrician mechanic
  machinist typist clerk stenographer bookkeeper accountant auditor treasurer broker stockbroker realtor developer
  contractor builder shipbuilder aviatrix flyer flier stowaway castaway hermit nomad vagabond hobo beggar peasant serf
  squire yeoman page scribe heretic martyr missionary reverend pastor vicar archbishop pontiff
kin: father mother dad mom parent son daughter brother sister sibling husband wife spouse uncle aunt nephew niece
  cousin grandfather grandmother grandson granddaughter grandparent grandchild ancestor descendant widow widower
  fiance stepfather stepmother mate lover wives triplet quintuplet twin baby family bride
group: company corporation firm business organization organisation institution agency bureau department ministry
  commission committee council board association society union league federation alliance club group team squad band
  orchestra choir quartet trio duo ensemble gang mob cult sect tribe clan family dynasty party government
  administration army navy militia force regiment brigade division battalion corps legion troop crew staff university
  college school academy institute laboratory hospital church denomination bank airline carrier railroad newspaper
  magazine network station channel studio manufacturer maker producer retailer store chain supermarket restaurant
  brewery publisher brokerage insurer franchise conglomerate cartel enterprise startup subsidiary foundation charity
  court legislature parliament congress senate house nation side minority majority people race population class caste
  coalition movement sorority fraternity utility automaker employer sponsor distributor exporter importer supplier
  contractor folk outfit syndicate consortium guild lodge fellowship brotherhood order commune community colony
  settlement panel jury task police fbi cia kgb nasa mafia klan electorate public audience faction wing bloc axis ally
  rebel guerrilla terrorist hockey act rock pop combo label distillery bakery winery mill hotel restaurateur office
  authority assembly cabinet press media service program competitor opponent rival ethnicity nationality generation
  culture civilization monks indians eskimos aborigines pygmies vikings amazons immigrants natives inhabitants
  residents citizens
title: title rank position office post role job occupation profession career trade living vocation nickname degree
  honorific epithet designation capacity duty specialty appointment membership
city: city town capital village metropolis municipality borough suburb port seaport hometown birthplace resort
  township burg site hamlet seat locale spa
country: country nation republic kingdom monarchy empire land homeland nationality superpower principality
  dictatorship democracy colony commonwealth territory ally neighbor sultanate emirate sheikdom protectorate
state: state province territory statehood
mount: mountain mount peak volcano range summit ridge hill alp mountaintop crater butte mesa hilltop alps highlands
place: place location area region county district parish neighborhood street avenue road boulevard highway freeway
  turnpike route square plaza park garden zoo forest jungle desert canyon valley plain plateau cave cavern island isle
  archipelago peninsula cape coast coastline shore beach continent hemisphere ocean sea lake river stream creek bay
  gulf strait channel canal waterway waterfall falls harbor dock reservoir dam glacier swamp marsh bridge tunnel
  building skyscraper tower house home mansion castle palace fort fortress temple cathedral mosque chapel abbey
  monastery tomb pyramid monument memorial statue museum gallery library theater theatre stadium arena ballpark field
  court course track racetrack casino hotel motel inn bar pub tavern nightclub cafe prison jail penitentiary cemetery
  graveyard airport station terminal base headquarters factory plant mine farm ranch plantation camp planet star moon
  constellation galaxy universe world earth asteroid comet orbit crater site address website url homepage internet web
  border boundary equator pole zone corner room chamber market mall shop store university college hospital attraction
  landmark spot destination residence dwelling birthplace pond oasis isthmus battlefield wonder spacecraft shrine pit
  locality locale precinct neighbourhood ghetto slum estate villa cottage cabin hut igloo tent tepee barn stable
  kennel cellar attic basement lobby hallway corridor kitchen bathroom bedroom parlor salon lounge cellblock dungeon
  asylum clinic morgue hospice orphanage kindergarten schoolhouse campus dormitory coliseum amphitheater auditorium
  rink gym gymnasium pool pier wharf marina quay lighthouse lagoon lakefront riverbank estuary delta fjord inlet cove
  sound reef atoll key islet mainland tropic arctic antarctica europe asia africa america australia rainforest
  woodland grassland prairie savanna steppe tundra wetland bog gorge ravine gulch cliff bluff quarry well oilfield
  pipeline levee dike aqueduct viaduct overpass intersection junction crossroads alley lane drive checkpoint crossing
  gate gateway wall fence heaven hell paradise hades underworld purgatory utopia backyard venue hangout haven retreat
  refuge reserve preserve sanctuary wilderness stop layover exit entrance sphinx ruin landmass narrows waters current
  tributary headwaters mouth source rapids geyser direction way territory possession acquisition purchase enclave
  outpost settlement ghost landfill dump facility hq embassy consulate courthouse jailhouse bookstore boutique outlet
  department pharmacy drugstore grocery diner cafeteria pizzeria bistro saloon brothel disco ballroom page webpage
  portal chatroom belt
animal: animal mammal beast creature critter bird fish reptile amphibian insect bug dog cat horse pony mare stallion
  colt mule donkey cow bull ox cattle calf pig hog boar sheep lamb ram goat deer elk moose reindeer antelope gazelle
  giraffe elephant rhinoceros hippopotamus camel llama lion tiger leopard jaguar cheetah panther lynx cougar bear
  panda wolf fox coyote jackal hyena rabbit hare squirrel chipmunk beaver rat mouse hamster gerbil porcupine skunk
  raccoon opossum badger weasel mink otter seal walrus whale dolphin porpoise shark tuna salmon trout cod herring eel
  octopus squid crab lobster shrimp clam oyster snail slug worm spider scorpion tick ant bee wasp butterfly moth fly
  mosquito cockroach beetle grasshopper cricket locust termite flea snake cobra python rattlesnake lizard crocodile
  alligator turtle tortoise frog toad salamander eagle hawk falcon owl vulture crow raven parrot pigeon dove sparrow
  robin chicken rooster hen duck goose swan turkey peacock penguin ostrich stork pelican gull kangaroo koala bat
  monkey ape gorilla chimpanzee baboon orangutan dinosaur tyrannosaurus breed species pet puppy kitten poodle terrier
  spaniel hound collie bulldog beagle dalmatian predator prey rodent primate marsupial carnivore herbivore crustacean
  mollusk thoroughbred racehorse greyhound mastiff cub fowl livestock bovine feline canine steed mount equine vermin
  pest parasite bugs caterpillar larva maggot tadpole firefly ladybug dragonfly mayfly centipede millipede leech
  jellyfish starfish sponge coral anemone urchin plankton krill sardine anchovy mackerel halibut sturgeon bass perch
  pike carp catfish goldfish guppy piranha barracuda marlin swordfish ray stingray manta seahorse manatee narwhal orca
  bison buffalo yak zebra okapi ibex gnu wildebeest impala caribou warthog aardvark anteater sloth armadillo hedgehog
  mole shrew vole lemming groundhog woodchuck gopher meerkat mongoose ferret wolverine polecat dingo wallaby wombat
  platypus echidna lemur marmoset gibbon macaque mandrill canary finch cardinal bluejay bluebird blackbird nightingale
  warbler lark wren swallow swift hummingbird kingfisher woodpecker cuckoo roadrunner quail partridge pheasant grouse
  emu kiwi dodo albatross puffin heron crane flamingo ibis osprey condor buzzard kestrel magpie jay starling thrush
  cockatoo macaw parakeet iguana gecko chameleon komodo monitor viper boa anaconda constrictor adder asp mamba newt
  bullfrog stegosaurus triceratops brontosaurus mammoth mastodon unicorn dragon griffin centaur phoenix sire foal
  filly yearling gelding stud shepherd setter pointer retriever labrador husky rottweiler doberman chihuahua dachshund
  whippet borzoi spitz dane bernard tabby siamese persian kitty doggie bunny teddy flock herd
body: body bone muscle organ gland nerve tissue cell skin hair head face eye ear nose mouth lip tongue tooth teeth gum
  jaw chin cheek neck throat shoulder arm elbow wrist hand finger thumb nail fingernail chest breast heart lung liver
  kidney stomach intestine bladder back spine rib hip leg thigh knee ankle foot feet toe brain skull blood vein artery
  vessel beard mustache limb joint appendage tendon ligament vertebra pancreas appendix retina cornea waist abdomen
  belly navel groin buttock torso trunk palm knuckle fist pinky heel sole instep calf shin forearm bicep triceps femur
  tibia fibula humerus radius ulna clavicle sternum scapula pelvis larynx pharynx esophagus trachea windpipe diaphragm
  spleen gallbladder colon rectum uterus ovary testicle prostate penis vagina womb thyroid adrenal pituitary
  hypothalamus cerebellum cortex cerebrum neuron pupil iris lens eyelid eyelash eyebrow forehead temple scalp earlobe
  eardrum nostril sinus molar incisor canine enamel tonsil saliva sweat cartilage marrow capillary aorta ventricle
  atrium valve follicle pore freckle mole wart horn antler hoof paw claw tail wing feather fin gill scale beak bill
  snout tusk whisker mane fur shell antenna antennae tentacle
color: color colour hue shade pigment tint red blue green yellow orange purple violet pink brown black white gray grey
  hues crimson scarlet maroon magenta turquoise aqua teal indigo lavender beige tan ivory khaki amber
work: book novel story tale fable legend poem verse sonnet ode play drama comedy tragedy musical opera operetta ballet
  symphony concerto song tune hymn anthem ballad single album record lyric soundtrack movie film picture flick
  documentary western cartoon sitcom show series soap program programme episode sequel trilogy miniseries painting
  portrait sculpture mural masterpiece artwork comic strip magazine newspaper journal periodical publication
  newsletter column article essay biography autobiography memoir diary bible dictionary encyclopedia almanac
  bestseller epic fairy thriller whodunit work composition broadcast volume text manuscript speech cantata serial
  waltz rhapsody classic title hit smash ditty jingle lullaby carol lament aria overture suite sonata fugue requiem
  mass oratorio madrigal telenovela spinoff pilot gameshow newscast special talkie blockbuster remake feature short
  animation anime manga paperback hardback hardcover pamphlet booklet brochure leaflet broadsheet tabloid gazette
  daily weekly monthly quarterly treatise tract thesis dissertation monograph textbook manual handbook guidebook
  cookbook atlas directory catalog catalogue anthology treasury tetralogy saga romance mystery detective satire farce
  parody allegory parable myth fairytale nursery rhyme limerick haiku elegy epigram psalm gospel scripture testament
  torah koran quran veda scroll papyrus statue bust carving engraving etching lithograph woodcut fresco tapestry
  mosaic collage canvas watercolor photograph photo snapshot poster billboard ad advertisement commercial masterwork
  creation opus production revue vaudeville skit sketch monologue soliloquy script screenplay libretto movement
  chapter refrain chorus cover lp ep cd dvd video tape folklore nonfiction fiction prequel adaptation track
currency: currency coin money dollar pound yen franc mark peso ruble rupee lira peseta drachma shekel unit monetary
  euro rand guilder lire escudo krona krone zloty forint dinar dirham rial riyal shilling pence penny nickel dime
  quarter sterling bill banknote
disease: disease illness sickness ailment disorder syndrome condition infection virus bacteria plague epidemic fever
  flu cold cancer tumor leukemia diabetes arthritis asthma allergy pneumonia tuberculosis malaria measles mumps
  smallpox polio cholera typhoid aids hiv hepatitis stroke seizure epilepsy depression schizophrenia phobia fear
  injury wound symptom pain ache headache migraine medicine drug medication pill vaccine antibiotic painkiller aspirin
  remedy treatment cure therapy vitamin deficiency health defect complication addiction anesthetic surgery steroid
  hormone antidote ulcer dementia alzheimer blindness sedative tranquilizer killer malady infirmity impairment
  disability handicap paralysis coma amnesia insomnia narcolepsy autism dyslexia adhd psychosis neurosis mania
  paranoia hysteria anorexia bulimia obesity scurvy rickets beriberi pellagra anemia hemophilia thalassemia lymphoma
  melanoma carcinoma sarcoma cyst polyp hernia goiter gout rheumatism lupus sclerosis meningitis encephalitis rabies
  tetanus anthrax botulism salmonella ebola dengue lyme herpes syphilis gonorrhea chlamydia wart acne eczema psoriasis
  rash shingles ringworm leprosy scarlet rubella chickenpox mononucleosis bronchitis emphysema pleurisy appendicitis
  gastritis colitis diarrhea dysentery constipation hemorrhoid heartburn indigestion nausea vertigo concussion
  fracture sprain bruise burn blister frostbite hypothermia heatstroke sunburn dehydration hangover poisoning overdose
  withdrawal penicillin insulin cortisone morphine heroin cocaine marijuana lsd narcotic opiate stimulant depressant
  antidepressant laxative antacid antihistamine decongestant ointment balm tablet capsule shot injection inoculation
  immunization dose prescription contraceptive supplement claustrophobia agoraphobia arachnophobia kill deaths
event: event war battle revolution rebellion revolt uprising riot strike massacre crisis disaster catastrophe
  earthquake hurricane tornado flood eruption explosion crash accident fire famine drought holiday festival feast
  celebration ceremony anniversary parade carnival fair exposition conference convention summit election campaign
  scandal trial treaty olympics tournament championship cup bowl race marathon game match series contest competition
  expedition voyage mission journey crusade invasion siege conflict movement depression era period assassination
  incident debate performance concert tour wedding birthday rally occasion happening affair episode occurrence
  milestone landing launch blast bombing attack raid ambush skirmish clash duel feud fight bout brawl standoff
  blockade embargo boycott protest demonstration march coup mutiny insurrection insurgency purge holocaust genocide
  pogrom lynching hanging execution murder kidnapping hijacking robbery heist burglary theft sinking shipwreck wreck
  collision derailment blackout outage meltdown spill leak avalanche landslide mudslide blizzard typhoon cyclone
  monsoon storm heatwave eclipse supernova tsunami epidemic pandemic panic recession inflation merger inauguration
  coronation impeachment resignation abdication referendum primary caucus armistice ceasefire truce surrender reunion
  homecoming prom graduation commencement pageant rodeo regatta derby grand prix open classic playoff final semifinal
  olympiad meet tourney steeplechase relay dash triathlon decathlon pentathlon biathlon passover hanukkah easter
  christmas thanksgiving halloween lent ramadan sabbath oktoberfest fest pilgrimage exodus migration discovery
  breakthrough tragedy calamity mishap wars warfare tradition rites ritual
food: food meal dish snack breakfast lunch dinner supper dessert appetizer soup salad sandwich bread cake cookie pie
  pastry candy chocolate cheese butter milk cream egg meat beef pork ham bacon sausage steak veal chop pasta noodle
  spaghetti rice cereal grain wheat corn oat fruit apple orange lemon lime banana grape peach pear plum cherry berry
  strawberry melon pineapple vegetable potato tomato onion garlic carrot cabbage lettuce spinach bean pea nut peanut
  almond spice herb pepper salt sugar vinegar sauce ketchup mustard mayonnaise oil ingredient flavor recipe cuisine
  drink beverage cocktail liquor alcohol wine beer ale whiskey whisky vodka gin rum brandy champagne tea coffee juice
  soda cola delicacy condiment topping dip gum liqueur yogurt tequila bourbon syrup honey jam jelly stew pizza burger
  hamburger fare grub feast buffet banquet brunch picnic nibble treat sweet confection lollipop gumdrop caramel toffee
  fudge marshmallow licorice mint brownie muffin cupcake doughnut donut bagel biscuit cracker pretzel chip popcorn
  waffle pancake crepe omelet omelette toast roll bun loaf tortilla taco burrito enchilada nacho salsa guacamole
  hummus falafel pita curry sushi sashimi tempura tofu miso ramen dumpling wonton casserole lasagna ravioli macaroni
  risotto paella goulash stroganoff chili chowder broth bouillon gumbo gravy dressing marinade relish pickle olive
  caper anchovy caviar pate salami pepperoni bologna hotdog frankfurter wiener jerky ribs brisket roast lamb mutton
  venison poultry turkey yolk yoghurt custard pudding gelatin jello mousse sherbet sorbet sundae milkshake smoothie
  float cider lemonade punch cappuccino espresso latte mocha cocoa pop tonic seltzer spirits scotch rye cognac
  vermouth port sherry martini margarita daiquiri mojito manhattan screwdriver sake mead lager stout pilsner nutrient
  carbohydrate vitamin fiber calorie protein sweetener saccharin aspartame molasses flour yeast dough batter
  shortening margarine lard avocado apricot blueberry raspberry blackberry cranberry currant date fig guava kiwi mango
  papaya passionfruit persimmon pomegranate raisin prune tangerine grapefruit watermelon cantaloupe coconut cashew
  pecan walnut hazelnut pistachio macadamia chestnut artichoke asparagus beet broccoli cauliflower celery cucumber
  eggplant kale leek mushroom okra parsley parsnip pumpkin radish rhubarb squash turnip yam zucchini lentil soybean
  chickpea basil cinnamon clove cumin dill ginger nutmeg oregano paprika rosemary saffron sage thyme turmeric vanilla
instrument: instrument piano violin viola cello guitar banjo harp flute clarinet oboe bassoon saxophone trumpet
  trombone tuba horn drum organ accordion harmonica keyboard xylophone fiddle bagpipe lute lyre ukulele mandolin
  harpsichord percussion woodwind cymbal tambourine gong bell chime bongo marimba vibraphone synthesizer piccolo
  recorder panpipe bugle cornet kazoo zither sitar dulcimer balalaika
language: language dialect tongue english french spanish german italian latin greek hebrew arabic chinese japanese
  russian portuguese esperanto swahili sanskrit lingo slang cobol fortran pascal gaelic yiddish mandarin cantonese
  hindi urdu bengali tamil persian turkish korean vietnamese thai tagalog dutch danish swedish norwegian finnish
  hungarian polish czech romanian bulgarian catalan basque welsh
letter: letter alphabet vowel consonant initial character
plant: plant tree flower shrub bush grass weed vine crop herb rose lily tulip daisy orchid oak pine maple elm birch
  cedar redwood fern moss cactus bloom blossom seed leaf palm willow ash beech poplar spruce fir hemlock cypress
  sequoia eucalyptus acacia mahogany teak ebony bamboo ivy kudzu clover dandelion thistle nettle mistletoe holly
  poinsettia sunflower marigold petunia carnation chrysanthemum daffodil hyacinth iris lilac magnolia azalea
  rhododendron geranium violet pansy poppy tobacco hemp flax cotton seaweed algae mold fungus mushroom toadstool
  lichen houseplant evergreen conifer perennial foliage greenery
product: product brand device machine appliance tool gadget invention item article merchandise toy doll game computer
  software hardware printer camera telephone phone radio television tv clock watch lamp bulb pen pencil weapon gun
  rifle pistol revolver bomb missile sword knife clothing garment dress shirt pants jeans hat cap shoe boot sock glove
  coat jacket suit tie furniture chair table bed detergent soap shampoo toothpaste perfume cosmetic deodorant
  cigarette cigar tobacco razor paint accessory equipment engine battery fabric cloth cleanser cereal good service
  export import crop model operating fashion underwear bra bikini purse wear beverage program application browser
  jewelry container bottle box bag ware tire utensil gizmo contraption apparatus instrument implement hammer saw drill
  screwdriver wrench plow tractor mower vacuum refrigerator freezer oven stove microwave toaster blender mixer iron
  washer dryer dishwasher heater fan stereo phonograph turntable walkman vcr camcorder projector telescope microscope
  thermometer barometer calculator abacus typewriter keyboard mouse modem monitor laptop chip microchip processor cpu
  disk disc cassette floppy cellphone pager fax copier stapler eraser crayon notebook envelope stamp umbrella
  parachute wallet handbag luggage suitcase backpack necklace bracelet earring brooch ring wig dentures eyeglasses
  sunglasses contact lens bandage diaper tampon condom pillow blanket sheet towel rug carpet curtain lampshade candle
  match lighter ashtray mirror vase pot pan kettle fork spoon chopsticks cup mug plate bowl toilet bathtub sink faucet
  shower toothbrush floss lotion lipstick mascara cologne aftershave bleach polish glue tape adhesive rope chain wire
  cable nail screw bolt nut hinge lock key zipper button velcro ornament decoration figurine puzzle frisbee slinky
  barbie lego videogame grenade cannon mortar musket shotgun torpedo warhead dynamite bayonet dagger spear lance bow
  arrow crossbow sling armor shield helmet uniform gown tuxedo kimono sari toga kilt vest sweater cardigan sweatshirt
  blouse skirt shorts trousers slacks pajamas robe slipper sandal sneaker loafer moccasin stocking pantyhose garter
  corset belt scarf shawl cape veil turban fez beret sombrero sportswear trademark line gift commodity cargo
  ammunition firearm headgear footwear
religion: religion faith denomination sect belief creed worship christianity islam judaism buddhism hinduism
  catholicism theology protestant baptist methodist lutheran presbyterian mormon quaker sikhism taoism shinto
  confucianism zoroastrianism
sport: sport game football baseball basketball soccer hockey tennis golf volleyball cricket rugby polo boxing
  wrestling swimming skating skiing gymnastics racing fencing archery badminton billiards pool croquet chess checkers
  bridge poker solitaire card bowling pastime hobby exercise surfing sailing dance athletics lacrosse event judo
  karate sumo taekwondo aikido rowing canoeing kayaking diving snorkeling snowboarding bobsled luge curling
  skateboarding rollerblading jogging hiking climbing skydiving bungee hunting fishing falconry equestrian dressage
  darts snooker squash racquetball handball dominoes backgammon monopoly scrabble clue bingo roulette craps blackjack
  baccarat canasta rummy hearts spades hopscotch marbles jacks tag charades trivia gambling betting wager
substance: substance element metal mineral rock stone gem gemstone jewel diamond ruby emerald gold silver copper iron
  steel tin lead zinc aluminum mercury uranium alloy gas oxygen hydrogen nitrogen helium carbon liquid solid acid base
  salt compound chemical molecule material fiber fabric cloth wood silk wool cotton nylon leather plastic rubber glass
  fuel petroleum coal oil wax poison toxin protein enzyme fat starch crystal ore clay ceramic ingredient composition
  explosive paper marble granite vapor vapour fume fluid water ice steam snow lava magma ash dust sand gravel soil mud
  peat quartz feldspar mica talc gypsum limestone sandstone shale slate basalt obsidian pumice jade amber pearl opal
  sapphire topaz turquoise garnet amethyst aquamarine onyx agate birthstone bronze brass pewter chrome chromium nickel
  cobalt titanium tungsten platinum magnesium manganese calcium potassium sodium lithium silicon sulfur phosphorus
  arsenic antimony bismuth radium plutonium thorium radon neon argon krypton xenon chlorine fluorine bromine iodine
  ammonia methane ethane propane butane ethanol methanol glycerin ether chloroform acetone benzene formaldehyde
  cyanide strychnine ricin ddt pesticide insecticide herbicide fertilizer solvent lubricant coolant antifreeze
  gasoline kerosene diesel asphalt tar cement concrete mortar brick plaster stucco tile linoleum vinyl polyester rayon
  denim satin velvet lace felt canvas burlap linen cashmere angora fur suede ivory bone cork pulp cardboard gelatin
  cellulose lignin chitin keratin collagen hemoglobin melanin chlorophyll caffeine nicotine alcohol adrenaline insulin
  testosterone estrogen dna rna glucose fructose lactose sucrose carbonate oxide hydroxide sulfate nitrate component
  gunpowder tnt fiberglass teflon
symbol: symbol sign logo emblem insignia mark trademark flag icon zodiac badge crest seal banner pennant hallmark
  monogram omen talisman amulet totem glyph rune formula notation punctuation card
technique: technique method process procedure treatment approach style therapy system art test practice strategy
  science stroke step maneuver exam operation technology tactic trick formula algorithm recipe remedy tip tips ritual
  custom dance stance hold grip throw pitch craft handicraft skill discipline martial photosynthesis osmosis
  distillation fermentation pasteurization hypnosis acupuncture surgery examination diet exercise sewing stitch
  knitting weaving
term: term word name phrase expression synonym nickname pseudonym alias slang label equivalent scientific antonym
  homonym monicker moniker designation title jargon
vehicle: vehicle car automobile auto truck bus van motorcycle bike bicycle train locomotive ship boat yacht submarine
  carrier vessel steamship liner destroyer battleship raft canoe plane airplane aircraft jet bomber fighter helicopter
  balloon dirigible zeppelin spacecraft spaceship shuttle rocket satellite capsule wagon carriage sled tank
  convertible sedan roadster cars airship blimp glider biplane airliner concorde ferry schooner clipper frigate
  galleon steamboat tugboat barge gondola kayak dinghy catamaran cruiser gunboat taxi cab limousine limo jeep hearse
  ambulance trailer camper motorhome suv minivan pickup hatchback coupe coach stagecoach chariot buggy rickshaw sleigh
  trolley streetcar tram subway monorail caboose moped scooter tricycle unicycle tractor bulldozer probe orbiter
  lander flagship fleet hovercraft fords chevrolet cadillac
word: word phrase quote quotation line slogan motto saying proverb expression adjective noun verb adverb acronym
  palindrome rhyme lyric catchphrase maxim adage idiom cliche pun anagram contraction pronoun preposition conjunction
  prefix suffix syllable caption inscription epitaph cry
other: object thing item subject topic part component piece feature characteristic quality trait property award prize
  honor medal trophy law act amendment bill right freedom document treaty crime sin virtue game card shape structure
  form pattern phenomenon force energy weather wind cloud science field study branch theory idea concept principle
  category class kind type sort variety source resource industry activity job skill ability degree major trick
  tradition custom rule system signal code key tune sound noise light ray wave bone bond stock fund tax toast
  superstition gift present advice nickname emotion constellation musical philosophy ingredient talent topping aspect
  element attribute factor problem question issue matter organism bacterium gene genre gender sex classification
  format status mode version power ideology medium music action movement style habit ritual hobby statute ordinance
  legislation laws commandment doctrine clause article pact accord agreement contract charter constitution license
  permit passport visa certificate scandal charge felony misdemeanor offense violation sins punishment penalty
  sentence zodiac horoscope sign phenomena storm hurricane tide current breeze tornado lightning thunder rainbow
  aurora comet meteor eclipse geometric polygon triangle rectangle circle sphere cube cone angle line point curve
  surface layer building architecture design motif particle atom electron proton neutron quark molecule nucleus
  isotope cell organelle enzyme chromosome virus unit measure course curriculum grade level stage phase step
  generation direction side position stance posture gesture expression feeling mood attitude vice asset export import
  sector market security investment insurance loan mortgage tariff duty program programme plan project initiative
  policy strategy operation mission codename bug function command file protocol extension domain algorithm ball puck
  bat racket glove club iron wood stick suit hand trump pawn knight bishop rook chord note scale tempo rhythm beat
  hemisphere meal cause decoration wonder equation theorem proof numeral hairstyle haircut hairdo
number: number quantity amount total figure digit population count integer fraction decimal prime
date: date day month year decade century millennium birthday birthdate time hour era season week weekday holiday
  january february march april may june july august september october november december monday tuesday wednesday
  thursday friday saturday sunday birthyear midnight noon
distance: distance length width height depth altitude elevation diameter radius circumference mile kilometer kilometre
  meter metre foot feet inch yard centimeter wingspan far tall high long wide deep wavelength yardage span size
  dimension thickness range
money: price cost salary wage income pay fee fine tax fare toll rent budget debt deficit revenue profit fortune dollar
  cent worth value earnings sum reward prize bail allowance bonus pension tuition ransom bounty stipend commission
  royalty bid bids expenditure spending bankroll jackpot
order: rank ranking chapter ordinal place order
period: age lifespan duration period span time year month week day days hour minute second expectancy gestation term
  sentence old long
percent: percent percentage proportion fraction share odds probability chance rate likelihood ratio
speed: speed velocity pace mph fast quickly knots kph
temperature: temperature degree fahrenheit celsius hot cold boil freeze melt boiling freezing melting thermometer
size: size area volume acreage acre capacity gallon liter ounce big large square cubic
weight: weight mass pound ton tons kilogram gram weigh heavy calorie heaviest lbs kg carat
code: code zip phone telephone number area isbn fax extension address zipcode postcode hotline
rate: rate ratio score level average frequency latitude longitude coordinate iq density scale magnitude index ratings
  odds chances
abbreviation: abbreviation acronym initials abbreviated stand stands abbreviate short
meaning: mean meaning definition define defined significance signify meant means
reason: reason cause purpose why because explanation motive motivation caused rationale
effect: effect result consequence impact influence affect benefit advantage disadvantage danger risk difference
  relationship similarity connection link distinction contrast
manner: way method process procedure instruction step
description: description history origin background story fact information detail theme plot summary role function job
  use used characteristic condition nature point law view opinion contribution achievement accomplishment requirement
  reputation message moral tradition mission policy theory etymology basis content purpose meaning significance
  plotline premise lesson concept stance attitude criticism claim responsibilities duties task qualifications rule
  laws guidelines regulations instructions info trivia data statistics weather forecast status situation state
  circumstances evidence proof text slogan toast saying tale deal secret difference composition structure appearance
make: write wrote written pen penned author invent invented discover discovered found founded create created design
  designed paint painted compose composed direct directed produce produced build built develop developed introduce
  introduced patent patented sculpt sculpted publish published coined coin invents crafted devised conceived
  originated pioneered formulated authored discovers founder founding established engineered programmed choreographed
  illustrated narrated translated edited arranged recorded released sing
play: play played portray portrayed star starred act acted sing sang sung perform performed voice dance host hosted
  narrate narrated
lead: lead led rule ruled govern governed win won lose lost beat defeat defeated marry married kill killed shoot shot
  murder murdered assassinate assassinated succeed succeeded elect elected command commanded appoint appointed
  nominate
live: live lived born die died buried grow grew reside inhabit bear birth death lives resides dwells raised native
  hails grows comes originated originate
happen: begin began start started end ended occur occurred happen happened take took open opened close closed become
  became sign signed declare declared
trade: sell sold buy bought own owns manufacture manufactured make makes market distribute hire employ operate sponsor
  acquire merge launch sells manufactures produces buys markets distributes advertises publishes employs
eat: eat ate eaten drink drank taste serve cook bake feed fry brew
call: call called name named refer referred known dubbed titled entitled nicknamed termed label say said
look: find get buy see locate obtain contact learn download visit found located situated
contain: contain contains include composed comprise consist made ingredient
"""
