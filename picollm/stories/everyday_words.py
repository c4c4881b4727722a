"""Words of the everyday corpus (everyday.py).

Names are not listed but made up from syllables, so that no name of a withheld specification occurs.
"""


def _listed(text: str, separator: str = " ") -> tuple[str, ...]:
    """The entries of a list, which may span several lines."""
    return tuple(" ".join(text.split()).split(separator))


THINGS = _listed(
    """
    acorn album almanac amulet anchor apron arrow axe banner barrel basket bead bell blanket bone bonnet
    book bookmark boot bottle bowl box bracelet brooch broom brush bucket buckle button candle candlestick
    cane cape card chain chest chisel cloak clock coat coin collar comb compass cord cork cradle crate
    crown cup cushion diary dish doll drum earring easel egg envelope fan feather fiddle flag flask flute
    fork frame funnel glove goblet hammer hairpin handkerchief harness harp hat helmet hinge hook horn
    horseshoe icicle inkwell iron jacket jar jewel jug kettle key kite knife knot lace ladder lamp lantern
    leaf lens letter locket lock loom magnet map marble mask medal mirror mitten mortar mug nail necklace
    needle net notebook oar oilcan onion ornament paddle padlock page paintbrush pan parasol parcel pearl
    pebble pen pencil photograph pillow pin pipe pitcher plate postcard pot pouch puppet purse puzzle
    quill quilt rake rattle razor ribbon ring rope ruler sack saddle satchel saw scarf scroll seal
    seashell shawl shell shield shoe shovel sieve skate sled slipper spade sponge spool spoon stamp stick
    stocking stone stool string sword tassel teapot telescope thimble thread ticket tile torch towel toy
    tray trumpet trunk twig umbrella urn vase violin wagon wallet walnut wand watch wheel whisk whistle
    wig wreath
    """
)
PLACES = _listed(
    """
    abbey alley arcade attic bakery balcony barn bay beach boathouse bridge brook cabin canal canyon
    castle cave cellar chapel church churchyard cliff clearing coast corner cottage courtyard cove
    crossroads dairy desert dock factory fair farm ferry field fishery forest forge fort garden gatehouse
    glacier glade grave greenhouse grove hall harbour hedge hill hillside hospital hotel hut inn island
    jetty junction kitchen lagoon lake lane library lighthouse lodge market marsh meadow mill mine
    monastery moor mountain museum nursery observatory office orchard palace park parlour pasture path
    pavilion pier plain playground pond port prairie quarry quay railway ravine reef river road ruin
    school shed shore shop shipyard square stable stairway station stream street studio swamp tavern
    temple tent terrace theatre tower town tunnel valley village vineyard wall warehouse waterfall well
    wharf windmill wood workshop yard
    """
)
ANIMALS = _listed(
    """
    ant ape badger bat bear beaver bee beetle bird boar bull bumblebee calf camel cat chicken cow crab
    crane cricket crow deer dog donkey dove dragonfly duck eagle eel elephant ferret finch fish fly fox
    frog gander goat goose gull hamster hare hawk hedgehog hen heron horse kitten lamb lark lizard lynx
    mole moth mouse mule newt octopus otter owl ox parrot pig pigeon pony puppy rabbit rat raven robin
    rooster salmon seal sheep snail snake sparrow spider squirrel stork swallow swan toad tortoise trout
    turkey turtle weasel whale wolf worm wren
    """
)
PEOPLE = _listed(
    """
    actor aunt author baker barber beekeeper blacksmith boatman bookseller builder butcher captain
    carpenter child clerk cobbler cook cousin dancer doctor driver farmer father ferryman fiddler fisher
    gardener grandfather grandmother groom guard guest hunter innkeeper jeweller judge juggler king knight
    lodger mayor merchant messenger midwife miller miner mother musician neighbour nurse orphan painter
    pedlar pilot poet porter postman potter prince princess pupil queen rider sailor schoolmaster servant
    shepherd shopkeeper singer sister brother soldier stranger student tailor teacher tinker traveller
    twin uncle waiter washerwoman watchman weaver widow woodcutter
    """
)
FOODS = _listed(
    """
    apples bread broth buns butter cabbage cake carrots cheese cherries chestnuts chocolate cider cocoa
    corn cream currants dumplings figs gingerbread grapes ham hazelnuts honey jam lemons lentils melon
    milk mushrooms mustard noodles nuts oatmeal olives pancakes peaches pears peas pepper pickles pie
    plums porridge potatoes pudding pumpkin radishes raisins rice rhubarb salt sausages soup spice stew
    sugar syrup tarts tea toast tomatoes turnips vinegar waffles
    """
)
MATERIALS = _listed(
    """
    amber bamboo birch brass bronze canvas cedar chalk clay copper cotton crystal elm felt flint glass
    gold granite horn iron ivory lead leather linen maple marble oak paper pewter pine plaster porcelain
    rubber rush sandstone satin silk silver slate steel straw tin velvet wax wicker willow wire wood wool
    """
)
COLOURS = _listed(
    """
    amber black blue brown crimson golden green grey indigo orange pale pink purple red scarlet silver
    violet white yellow
    """
)
LOOKS = _listed(
    """
    ancient battered bent big blunt bright broken broad carved chipped clean clever coarse cold cracked
    crooked curved damp deep dented dirty double dry dull dusty empty enormous faded fancy fine flat
    folded forgotten fragile fresh frozen giant gilded handmade heavy hidden hollow huge knitted large
    light little long loose lost lovely mended modest muddy narrow neat new odd oily old ordinary oval
    painted patched plain polished precious pretty ragged rare rough round rusty scratched shallow sharp
    shiny short simple singing slender slim small smooth soft solid spare spotted square stained sticky
    stolen stout strange striped strong sturdy tangled tall thick thin tiny torn twisted ugly unfinished
    warm wet wide wooden worn woven wrinkled
    """
)
TEMPERS = _listed(
    """
    angry anxious awkward bashful bold brave busy calm careful cheerful clumsy curious drowsy eager
    elderly excited faithful foolish friendly generous gentle greedy grumpy happy helpful humble hungry
    idle jealous jolly kind lazy lonely loyal merry nervous noisy obedient patient playful polite poor
    proud quick quiet restless sad shy silent silly sleepy slow stern stubborn sulky thirsty thoughtful
    timid tired upset weary wise young
    """
)
AIRS = _listed(
    """
    abandoned airy bare busy chilly cosy crowded dark deserted distant dreary dusky echoing empty fenced
    flooded foggy frosty gloomy green grassy icy lively lonely misty mossy muddy narrow nameless nearby
    open overgrown peaceful pleasant quiet rainy remote rocky sandy shabby shady shadowy silent sleepy
    small snowy steep still stony stormy sunlit sunny tidy tumbledown unlit upper warm wild windy winding
    """
)
FEELINGS = _listed(
    """
    afraid ashamed calm cold cross curious glad grateful happy homesick hopeful hungry lonely nervous
    proud puzzled relieved sad safe sleepy sorry surprised tired uneasy warm weary worried
    """
)
WEATHER = _listed(
    """
    bright cloudy cold cool damp dark foggy frosty grey hot mild rainy snowy stormy sunny warm wet windy
    """
)
SEASONS = _listed("autumn spring summer winter")
MOMENTS = _listed("afternoon dawn day evening morning night")
MANNERS = _listed(
    """
    bravely briskly calmly carefully cheerfully gently gladly happily kindly lightly loudly neatly
    patiently politely proudly quickly quietly sadly silently slowly softly steadily warmly wearily
    """
)
SKIES = _listed(
    """
    clouds crows fog geese leaves mist moon rain shadows sleet smoke snow stars sun swallows thunder wind
    """
)
KIN = _listed(
    """
    apprentice aunt brother child cousin daughter friend father helper mother servant sister son twin
    uncle
    """
)
DOINGS = _listed(
    """
    bake climb cook count dance draw fish garden hum juggle knit paint plant read ride row run sail sew
    sing skate sketch sleep spin swim think walk weave whistle write
    """
)
# Base form, past, participle; each takes a thing as its object.
TRANSITIVE = tuple(
    tuple(forms.split())
    for forms in _listed(
        """
    admire admired admired | balance balanced balanced | bless blessed blessed |
    borrow borrowed borrowed | break broke broken | bring brought brought | build built built |
    burn burned burned | bury buried buried | buy bought bought | carry carried carried |
    carve carved carved | catch caught caught | choose chose chosen | clean cleaned cleaned |
    collect collected collected | copy copied copied | count counted counted | cover covered covered |
    cut cut cut | describe described described | draw drew drawn | drop dropped dropped |
    dry dried dried | examine examined examined | fetch fetched fetched | find found found |
    fold folded folded | follow followed followed | forget forgot forgotten | greet greeted greeted |
    guard guarded guarded | hang hung hung | hide hid hidden | hold held held | invent invented invented |
    inspect inspected inspected | keep kept kept | kick kicked kicked | kiss kissed kissed |
    lend lent lent | lift lifted lifted | light lit lit | lock locked locked | lose lost lost |
    mark marked marked | measure measured measured | mend mended mended | move moved moved |
    name named named | notice noticed noticed | offer offered offered | open opened opened |
    order ordered ordered | own owned owned | paint painted painted | polish polished polished |
    praise praised praised | pull pulled pulled | push pushed pushed | repair repaired repaired |
    return returned returned | save saved saved | scratch scratched scratched | sell sold sold |
    send sent sent | shake shook shaken | share shared shared | sketch sketched sketched |
    steal stole stolen | swap swapped swapped | take took taken | taste tasted tasted |
    throw threw thrown | tie tied tied | touch touched touched | trade traded traded |
    trust trusted trusted | turn turned turned | uncover uncovered uncovered | visit visited visited |
    wake woke woken | warm warmed warmed | wash washed washed | watch watched watched |
    water watered watered | wear wore worn | weigh weighed weighed | wrap wrapped wrapped
        """,
        " | ",
    )
)
INTRANSITIVE = _listed(
    """
    argue bathe boast breathe camp climb complain count cry dance dawdle dig dine dream drink eat fish
    gamble giggle hum hunt juggle jump kneel knock laugh lie linger listen pray quarrel read rest ride row
    run sail scream shout sing sit skate sleep sneeze speak spin stand stumble swim trade turn wait walk
    weep whisper whistle yawn
    """
)
PREPOSITIONS = _listed("above across behind below beneath beside beyond by inside near outside over under")
RULE_TAILS = _listed(
    """
    after dark | after dinner | after rain | alone | at dawn | at dusk | at noon | before breakfast |
    before sunrise | by candlelight | by moonlight | for money | in a hurry | in anger | in autumn |
    in secret | in spring | in summer | in the dark | in the fog | in the rain | in winter |
    on a feast day | on Fridays | on Mondays | on Sundays | on market days | twice | two days running |
    with bare hands | with cold hands | with wet feet | without a lamp | without a song | without asking |
    without gloves | without permission | while the bells ring | while the kettle boils |
    while the wind blows | with closed eyes
    """,
    " | ",
)
TWIST_TAILS = _listed(
    """
    after all | all along | all winter | before the flood | by mistake | every night | for a joke |
    for many years | from the start | in secret | long ago | on purpose | once before | out of kindness |
    the day before | the whole time | twice already | years earlier
    """,
    " | ",
)
FUNCTION_WORDS = _listed(
    """
    after all and another at before both by every for from had has her his in into is it its nobody not of on only
    or out over past somebody than that their them then there through to twice two under until up was were when where while
    who whose with without
    """
)
IRREGULAR_PLURALS = {
    "calf": "calves",
    "child": "children",
    "deer": "deer",
    "fish": "fish",
    "goose": "geese",
    "knife": "knives",
    "leaf": "leaves",
    "mouse": "mice",
    "ox": "oxen",
    "postman": "postmen",
    "salmon": "salmon",
    "scarf": "scarves",
    "sheep": "sheep",
    "trout": "trout",
    "washerwoman": "washerwomen",
    "watchman": "watchmen",
    "wolf": "wolves",
    "boatman": "boatmen",
    "ferryman": "ferrymen",
    "crossroads": "crossroads",
}
# Syllables of the made-up words; an empty onset makes a word that begins with a vowel.
ONSETS = (
    *_listed("b br c ch cl d dr f fl fr g gl gr h j k kr l m n p pl pr qu r s sh sk sl st sw t th tr v w y z"),
    "",
)
VOWELS = _listed("a e i o u ai ea")
MIDDLES = _listed("b d l ld lm ln lv m mb n nd nn r rd rl rm rn rv s sk st th tr v")
ENDINGS = _listed(
    """
    a ab ada an ar as e eb ek el ella eth ett ia idan il in ina ira is ith iva o od ok ola olf on or os
    oth ova ul um una ur us uth y yn
    """
)
# The categories that a sentence frame may name.
WORDS = {
    "thing_word": THINGS,
    "place_word": PLACES,
    "animal_word": ANIMALS,
    "person_word": PEOPLE,
    "food_word": FOODS,
    "material": MATERIALS,
    "colour": COLOURS,
    "look": LOOKS,
    "temper": TEMPERS,
    "air": AIRS,
    "feeling": FEELINGS,
    "weather": WEATHER,
    "season": SEASONS,
    "moment": MOMENTS,
    "manner": MANNERS,
    "sky": SKIES,
    "doing": DOINGS,
}
